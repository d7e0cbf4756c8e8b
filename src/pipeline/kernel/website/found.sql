-- public_found: Pages that hold the words.
SELECT 'page' AS kind, '/' || slug AS path, title, summary FROM pages
WHERE status = 'published' AND :q IS NOT NULL
    AND instr(lower(title || ' ' || summary || ' ' || body), lower(:q)) > 0
/*posts*/
LIMIT 50
