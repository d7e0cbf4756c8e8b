-- public_posts: What is published by today, the newest first.
SELECT title, slug, summary, published_on FROM posts
WHERE status = 'published' AND coalesce(published_on, '') <= date('now')
ORDER BY published_on DESC, id DESC LIMIT 100
-- public_post: One post.
SELECT title, slug, summary, body, published_on FROM posts
WHERE slug = :slug AND status = 'published' AND coalesce(published_on, '') <= date('now')
