// Where the known services and topics stand in the drawing: once for a wide window, once for a phone. The router is the
// spine: cases leave it and come back to it. What /topics says and this doesn't know goes into a row below.

const centred = (w, h) => (x, y, extra) => ({ x: x - w / 2, y: y - h / 2, w, h, ...extra });

const wideTopic = centred(188, 46);
const wideService = centred(112, 54);

export const WIDE = {
  name: "wide",
  width: 1216,
  height: 422,
  inset: 12,
  services: {
    gateway: wideService(60, 128),
    "command-line": wideService(60, 222),
    router: { x: 368, y: 14, w: 92, h: 394 },
    generator: wideService(766, 128),
    verifier: wideService(1156, 128),
    refiner: { x: 710, y: 194, w: 112, h: 104 },
    summarizer: wideService(766, 368),
    exporter: wideService(1156, 368),
  },
  topics: {
    "question-submitted": wideTopic(242, 128),
    "question-refused": wideTopic(242, 304),
    "case-undecided": wideTopic(586, 84),
    "question-admitted": wideTopic(586, 140),
    "paths-generated": wideTopic(962, 128),
    "paths-verified": wideTopic(766, 30),
    "case-medium": wideTopic(586, 219),
    "case-difficult": wideTopic(586, 273),
    "case-accepted": wideTopic(586, 368),
    "case-rejected": wideTopic(242, 368),
    "record-completed": wideTopic(962, 368),
  },
  routes: {
    "verifier>paths-verified": [
      [1156, 101],
      [1156, 30],
      [860, 30],
    ],
  },
};

const tallTopic = centred(116, 62);
const tallService = centred(116, 46);

export const TALL = {
  name: "tall",
  width: 392,
  height: 574,
  inset: 8,
  services: {
    gateway: { x: 8, y: 16, w: 106, h: 46 },
    "command-line": { x: 278, y: 16, w: 106, h: 46 },
    router: { x: 8, y: 106, w: 376, h: 46 },
    generator: tallService(76, 290),
    verifier: tallService(76, 446),
    refiner: tallService(200, 290),
    summarizer: tallService(326, 290),
    exporter: tallService(326, 446),
  },
  topics: {
    "question-submitted": tallTopic(196, 39),
    "question-admitted": tallTopic(76, 212),
    "paths-generated": tallTopic(76, 368),
    "paths-verified": tallTopic(76, 526),
    "case-medium": tallTopic(200, 212),
    "case-difficult": tallTopic(200, 368),
    "case-accepted": tallTopic(326, 212),
    "record-completed": tallTopic(326, 368),
    "question-refused": tallTopic(200, 526),
    "case-rejected": tallTopic(326, 526),
  },
  routes: {
    "paths-verified>router": [
      [18, 526],
      [11, 526],
      [11, 152],
    ],
    "router>case-difficult": [
      [263, 152],
      [263, 368],
      [258, 368],
    ],
    "router>question-refused": [
      [263, 152],
      [263, 526],
      [258, 526],
    ],
    "router>case-rejected": [
      [263, 152],
      [263, 526],
      [268, 526],
    ],
    "refiner>paths-generated": [
      [142, 290],
      [138, 290],
      [138, 368],
      [134, 368],
    ],
  },
};

/** The points of the line from one box to another: straight where they face each other, else round one corner. */
export function route(layout, from, to) {
  const known = layout.routes[`${from}>${to}`];
  if (known) return known;
  const a = layout.services[from] ?? layout.topics[from];
  const b = layout.services[to] ?? layout.topics[to];
  const [ax, ay] = centre(a);
  const [bx, by] = centre(b);
  const small = a.h < b.h ? ay : by;
  if (covers(a.y, a.h, small) && covers(b.y, b.h, small))
    return bx > ax
      ? [
          [a.x + a.w, small],
          [b.x, small],
        ]
      : [
          [a.x, small],
          [b.x + b.w, small],
        ];
  const thin = a.w < b.w ? ax : bx;
  if (covers(a.x, a.w, thin) && covers(b.x, b.w, thin))
    return by > ay
      ? [
          [thin, a.y + a.h],
          [thin, b.y],
        ]
      : [
          [thin, a.y],
          [thin, b.y + b.h],
        ];
  return [
    [bx > ax ? a.x + a.w : a.x, ay],
    [bx, ay],
    [bx, by > ay ? b.y : b.y + b.h],
  ];
}

const centre = (box) => [box.x + box.w / 2, box.y + box.h / 2];
const covers = (start, length, at) => at >= start && at <= start + length;

/** A line through points, its corners rounded, as SVG writes it. */
export function rounded(points, radius = 10) {
  const parts = [`M${points[0]}`];
  for (let i = 1; i < points.length - 1; i++) {
    const [before, corner, after] = [points[i - 1], points[i], points[i + 1]];
    const r = Math.min(radius, distance(before, corner) / 2, distance(corner, after) / 2);
    parts.push(`L${towards(corner, before, r)}Q${corner} ${towards(corner, after, r)}`);
  }
  return `${parts.join("")}L${points.at(-1)}`;
}

const distance = ([ax, ay], [bx, by]) => Math.hypot(ax - bx, ay - by);

function towards(from, to, by) {
  const share = by / (distance(from, to) || 1);
  return [0, 1].map((axis) => Math.round((from[axis] + (to[axis] - from[axis]) * share) * 10) / 10);
}
