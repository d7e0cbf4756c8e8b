-- public_pages: Pages of the menu, in order.
SELECT title, slug, summary FROM pages WHERE status = 'published' ORDER BY position, title LIMIT 30
-- public_page: One page.
SELECT title, slug, summary, body FROM pages WHERE slug = :slug AND status = 'published'
