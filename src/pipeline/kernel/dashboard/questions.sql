-- all_series: What is measured.
SELECT series, count(*) AS n FROM measures GROUP BY series COLLATE NOCASE ORDER BY series LIMIT 100
-- tiles: The sum of the range, the mean of its days with values, the best day, and the range before.
WITH span (days) AS (SELECT CASE coalesce(:range, '30') WHEN '7' THEN 7 WHEN '90' THEN 90 WHEN '365' THEN 365 ELSE 30 END),
chosen AS (
    SELECT m.day, m.value, m.day > date('now', '-' || span.days || ' days') AS here
    FROM measures m, span
    WHERE (:series IS NULL OR m.series = :series) AND m.day <= date('now') AND m.day > date('now', '-' || (2 * span.days) || ' days')
),
days AS (SELECT day, sum(value) AS total FROM chosen WHERE here GROUP BY day)
SELECT
    (SELECT days FROM span) AS days,
    (SELECT coalesce(sum(value), 0) FROM chosen WHERE here) AS total,
    (SELECT coalesce(sum(value), 0) FROM chosen WHERE NOT here) AS before,
    (SELECT coalesce(avg(total), 0) FROM days) AS mean,
    (SELECT day FROM days ORDER BY total DESC, day LIMIT 1) AS best_day,
    (SELECT coalesce(max(total), 0) FROM days) AS best,
    (SELECT count(*) FROM chosen WHERE here) AS n
-- daily: The sum of every day of the range.
WITH RECURSIVE span (days) AS (SELECT CASE coalesce(:range, '30') WHEN '7' THEN 7 WHEN '90' THEN 90 WHEN '365' THEN 365 ELSE 30 END),
calendar (day, left) AS (
    SELECT date('now', '-' || (days - 1) || ' days'), days - 1 FROM span
    UNION ALL SELECT date(day, '+1 day'), left - 1 FROM calendar WHERE left > 0
)
SELECT calendar.day AS label, coalesce(sum(m.value), 0) AS value
FROM calendar LEFT JOIN measures m ON m.day = calendar.day AND (:series IS NULL OR m.series = :series)
GROUP BY calendar.day ORDER BY calendar.day
-- by_series: The sum of each series in the range.
WITH span (days) AS (SELECT CASE coalesce(:range, '30') WHEN '7' THEN 7 WHEN '90' THEN 90 WHEN '365' THEN 365 ELSE 30 END)
SELECT m.series AS label, sum(m.value) AS value FROM measures m, span
WHERE m.day <= date('now') AND m.day > date('now', '-' || span.days || ' days')
GROUP BY m.series COLLATE NOCASE ORDER BY sum(m.value) DESC, m.series LIMIT 12
-- weekdays: The mean of each day of the week in the range.
WITH span (days) AS (SELECT CASE coalesce(:range, '30') WHEN '7' THEN 7 WHEN '90' THEN 90 WHEN '365' THEN 365 ELSE 30 END),
days AS (
    SELECT m.day, sum(m.value) AS total FROM measures m, span
    WHERE (:series IS NULL OR m.series = :series) AND m.day <= date('now') AND m.day > date('now', '-' || span.days || ' days')
    GROUP BY m.day
),
week (number, name) AS (VALUES (1, 'Mon'), (2, 'Tue'), (3, 'Wed'), (4, 'Thu'), (5, 'Fri'), (6, 'Sat'), (0, 'Sun'))
SELECT week.name AS label, coalesce(avg(days.total), 0) AS value
FROM week LEFT JOIN days ON CAST(strftime('%w', days.day) AS INTEGER) = week.number
GROUP BY week.number ORDER BY CASE week.number WHEN 0 THEN 7 ELSE week.number END
-- latest: What came in last.
SELECT id, series, day, value, note FROM measures WHERE :series IS NULL OR series = :series ORDER BY day DESC, id DESC LIMIT 8
-- report: What is said on the telephone.
SELECT (SELECT count(*) FROM measures) AS measured, (SELECT count(DISTINCT series) FROM measures) AS series,
    (SELECT count(*) FROM measures WHERE day = date('now')) AS measured_today
