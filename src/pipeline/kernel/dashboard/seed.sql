WITH RECURSIVE days (day, n) AS (SELECT date('now', '-89 days'), 0 UNION ALL SELECT date(day, '+1 day'), n + 1 FROM days WHERE n < 89)
INSERT INTO measures (series, day, value, note)
SELECT 'Sample visitors', day, 120 + n + (n * 37) % 41 - CASE WHEN strftime('%w', day) IN ('0', '6') THEN 60 ELSE 0 END, 'Sample' FROM days;
WITH RECURSIVE days (day, n) AS (SELECT date('now', '-89 days'), 0 UNION ALL SELECT date(day, '+1 day'), n + 1 FROM days WHERE n < 89)
INSERT INTO measures (series, day, value, note)
SELECT 'Sample orders', day, 8 + n / 9 + (n * 13) % 7, 'Sample' FROM days;
