-- box_put: Takes a sum of an hour of this box; brought again, the later one counts.
INSERT INTO box_hours (hour, series, name, value) VALUES (:hour, :series, :name, :value)
ON CONFLICT (hour, series, name) DO UPDATE SET value = excluded.value
-- box_until: The newest hour that is known.
SELECT max(hour) AS until FROM box_hours
-- box_tiles: The sums of the range, and when they are from.
WITH span (days) AS (SELECT CASE coalesce(:range, '30') WHEN '7' THEN 7 WHEN '90' THEN 90 WHEN '365' THEN 365 ELSE 30 END),
here AS (SELECT b.series, b.name, b.value FROM box_hours b, span WHERE b.hour >= date('now', '-' || (span.days - 1) || ' days')),
sums AS (
    SELECT
        coalesce(sum(value) FILTER (WHERE series = 'calls'), 0) AS calls,
        coalesce(sum(value) FILTER (WHERE series = 'answered'), 0) AS answered,
        coalesce(sum(value) FILTER (WHERE series = 'talk_seconds'), 0) AS seconds,
        coalesce(sum(value) FILTER (WHERE series = 'builds' AND name = 'live'), 0) AS live,
        coalesce(sum(value) FILTER (WHERE series = 'requests'), 0) AS requests,
        coalesce(sum(value) FILTER (WHERE series = 'errors'), 0) AS errors
    FROM here
)
SELECT calls, answered, live, requests, errors, seconds / 60 AS minutes,
    CASE WHEN answered > 0 THEN printf('%d:%02d', seconds / answered / 60, seconds / answered % 60) END AS length,
    (SELECT max(hour) FROM box_hours) AS until
FROM sums
-- box_hourly: Calls of every hour of two days.
WITH RECURSIVE clock (hour, left) AS (
    SELECT strftime('%Y-%m-%d %H:00', 'now', '-47 hours'), 47
    UNION ALL SELECT strftime('%Y-%m-%d %H:00', hour, '+1 hour'), left - 1 FROM clock WHERE left > 0
)
SELECT substr(clock.hour, 12) AS label, coalesce(sum(b.value), 0) AS value
FROM clock LEFT JOIN box_hours b ON b.hour = clock.hour AND b.series = 'calls'
GROUP BY clock.hour ORDER BY clock.hour
-- box_daily: Calls of every day of the range, and how long they lasted.
WITH RECURSIVE span (days) AS (SELECT CASE coalesce(:range, '30') WHEN '7' THEN 7 WHEN '90' THEN 90 WHEN '365' THEN 365 ELSE 30 END),
calendar (day, left) AS (
    SELECT date('now', '-' || (days - 1) || ' days'), days - 1 FROM span
    UNION ALL SELECT date(day, '+1 day'), left - 1 FROM calendar WHERE left > 0
),
sums AS (
    SELECT substr(hour, 1, 10) AS day, sum(value) FILTER (WHERE series = 'calls') AS calls,
        sum(value) FILTER (WHERE series = 'talk_seconds') AS seconds, sum(value) FILTER (WHERE series = 'errors') AS errors
    FROM box_hours GROUP BY 1
)
SELECT calendar.day AS label, coalesce(calls, 0) AS value, coalesce(seconds, 0) / 60 AS minutes, coalesce(errors, 0) AS errors
FROM calendar LEFT JOIN sums ON sums.day = calendar.day ORDER BY calendar.day
-- box_ends: How calls ended in the range.
WITH span (days) AS (SELECT CASE coalesce(:range, '30') WHEN '7' THEN 7 WHEN '90' THEN 90 WHEN '365' THEN 365 ELSE 30 END)
SELECT replace(b.name, '_', ' ') AS label, sum(b.value) AS value FROM box_hours b, span
WHERE b.series = 'calls' AND b.hour >= date('now', '-' || (span.days - 1) || ' days')
GROUP BY b.name ORDER BY sum(b.value) DESC, b.name LIMIT 12
-- box_builds: What became of builds in the range.
WITH span (days) AS (SELECT CASE coalesce(:range, '30') WHEN '7' THEN 7 WHEN '90' THEN 90 WHEN '365' THEN 365 ELSE 30 END)
SELECT b.name AS label, sum(b.value) AS value FROM box_hours b, span
WHERE b.series = 'builds' AND b.hour >= date('now', '-' || (span.days - 1) || ' days')
GROUP BY b.name ORDER BY sum(b.value) DESC, b.name LIMIT 12
-- box_apps: Requests of each app in the range, and how many of them it could not answer.
WITH span (days) AS (SELECT CASE coalesce(:range, '30') WHEN '7' THEN 7 WHEN '90' THEN 90 WHEN '365' THEN 365 ELSE 30 END)
SELECT b.name AS label, coalesce(sum(b.value) FILTER (WHERE b.series = 'requests'), 0) AS value,
    coalesce(sum(b.value) FILTER (WHERE b.series = 'errors'), 0) AS errors
FROM box_hours b, span
WHERE b.series IN ('errors', 'requests') AND b.hour >= date('now', '-' || (span.days - 1) || ' days')
GROUP BY b.name ORDER BY 2 DESC, b.name LIMIT 12
-- report: What is said on the telephone.
SELECT (SELECT count(*) FROM measures) AS measured, (SELECT count(DISTINCT series) FROM measures) AS series,
    (SELECT count(*) FROM measures WHERE day = date('now')) AS measured_today,
    (SELECT coalesce(sum(value), 0) FROM box_hours WHERE series = 'calls' AND hour >= date('now')) AS box_calls_today,
    (SELECT coalesce(sum(value), 0) / 60 FROM box_hours WHERE series = 'talk_seconds' AND hour >= date('now')) AS box_minutes_today
