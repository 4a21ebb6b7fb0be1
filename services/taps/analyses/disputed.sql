-- Disputed questions: where every path that states an answer states the same other answer than gold.
--
-- One row a question and recipe, for people to look at: the gold answer may be wrong, or the question unclear.
-- gold, models_say: letter and text of both. paths, models: how many of the plan's paths say so, and by how many
-- different models; nine paths of three models weigh more than two of one. judged_correct: how many of these the
-- judge found correct all the same, against gold. ended: what became of it (null: still under way, or dead); what was
-- accepted in spite of the dispute is in the dataset with gold_disputed = true.
WITH voices AS (
    SELECT
        work_id,
        any_value(stated) AS stated,
        count(*) AS paths,
        count(DISTINCT alias) AS models,
        count(*) FILTER (judged = 'correct') AS judged_correct
    FROM paths
    WHERE origin = 'generated' AND stated IS NOT NULL
    GROUP BY work_id
)
SELECT
    case_id,
    source,
    source_question_id,
    subject,
    question,
    answer || ': ' || list_filter(options, lambda option: option.letter = answer)[1].text AS gold,
    stated || ': ' || list_filter(options, lambda option: option.letter = stated)[1].text AS models_say,
    paths,
    models,
    judged_correct,
    ended
FROM cases
JOIN voices USING (work_id)
WHERE gold_disputed
ORDER BY models DESC, paths DESC, case_id
