UNION ALL
SELECT 'post', '/blog/' || slug, title, summary FROM posts
WHERE status = 'published' AND coalesce(published_on, '') <= date('now') AND :q IS NOT NULL
    AND instr(lower(title || ' ' || summary || ' ' || body), lower(:q)) > 0
