-- What refinement repairs: how often a rewritten or newly reasoned path is correct, better, and kept.
--
-- One row an origin and round: `refined` rewrites a medium case's best paths, `regenerated` is the strong model on a
-- difficult one. cases: that came into this round. repaired: of these, how many keep a path of it. correct, error,
-- unknown: its paths, by verdict. leaked: of the errors, those that mention having been told the answer.
-- better, as_good, worse: the correct rewritten ones against their parent's score; only better and as good ones may
-- take its place, so many `worse` are money spent for nothing. mean_gain: in points of the score, over those three.
SELECT
    paths.origin,
    paths.round,
    count(DISTINCT paths.work_id) AS cases,
    count(DISTINCT paths.work_id) FILTER (paths.kept) AS repaired,
    count(*) AS paths,
    count(*) FILTER (paths.standing = 'correct') AS correct,
    count(*) FILTER (paths.standing = 'error') AS error,
    count(*) FILTER (paths.standing = 'unknown') AS unknown,
    count(*) FILTER (paths.verdict_by = 'leak') AS leaked,
    count(*) FILTER (paths.kept) AS kept,
    count(*) FILTER (paths.score > parent.score) AS better,
    count(*) FILTER (paths.score = parent.score) AS as_good,
    count(*) FILTER (paths.score < parent.score) AS worse,
    round(avg(paths.score - parent.score), 2) AS mean_gain
FROM paths
LEFT JOIN paths AS parent
    ON paths.origin = 'refined' AND parent.work_id = paths.work_id AND parent.path_id = paths.parents[1]
WHERE paths.origin <> 'generated'
GROUP BY paths.origin, paths.round
ORDER BY paths.origin, paths.round
