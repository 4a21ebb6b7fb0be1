// What a rewriting changed, by words.

const CELLS = 25_000_000; // of the table: some 2,300 words against as many; 50 MB and a tenth of a second

const WORDS = /\s+|[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu;
const LINES = /[^\n]*\n|[^\n]+/g;

/** The two texts as pieces: [[text, changed], …] of each. Where they are too long to be compared by words, by lines;
 * where by lines too, all between the common beginning and the common end counts as changed. */
export function wordDiff(before, after) {
  const size = (pattern) => ((before.match(pattern)?.length ?? 0) + 1) * ((after.match(pattern)?.length ?? 0) + 1);
  const pattern = size(WORDS) <= CELLS ? WORDS : LINES;
  const old = before.match(pattern) ?? [];
  const now = after.match(pattern) ?? [];
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start++;
  let end = 0;
  while (end < old.length - start && end < now.length - start && old.at(-1 - end) === now.at(-1 - end)) end++;
  const [gone, come] = middle(old.slice(start, old.length - end), now.slice(start, now.length - end));
  const around = (list, changed) => [
    ...list.slice(0, start).map((word) => [word, false]),
    ...list.slice(start, list.length - end).map((word, place) => [word, changed[place]]),
    ...list.slice(list.length - end).map((word) => [word, false]),
  ];
  return { before: joined(around(old, gone)), after: joined(around(now, come)) };
}

// Longest common subsequence by the table of its lengths: which words of each are not in it.
function middle(old, now) {
  const gone = old.map(() => true);
  const come = now.map(() => true);
  const width = now.length + 1;
  if ((old.length + 1) * width > CELLS) return [gone, come];
  const longest = new Uint16Array((old.length + 1) * width);
  for (let i = old.length - 1; i >= 0; i--)
    for (let j = now.length - 1; j >= 0; j--)
      longest[i * width + j] =
        old[i] === now[j]
          ? longest[(i + 1) * width + j + 1] + 1
          : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
  for (let i = 0, j = 0; i < old.length && j < now.length;) {
    if (old[i] === now[j]) gone[i++] = come[j++] = false;
    else if (longest[(i + 1) * width + j] >= longest[i * width + j + 1]) i++;
    else j++;
  }
  return [gone, come];
}

// Neighbours of a kind together; and a space alone between two changed words is changed with them.
function joined(words) {
  const pieces = [];
  words.forEach(([word, changed], place) => {
    const bridge = !changed && /^\s+$/.test(word) && words[place - 1]?.[1] && words[place + 1]?.[1];
    const kind = changed || Boolean(bridge);
    if (pieces.at(-1)?.[1] === kind) pieces.at(-1)[0] += word;
    else pieces.push([word, kind]);
  });
  return pieces;
}
