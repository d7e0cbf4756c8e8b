INSERT INTO pages (title, slug, summary, body, position, status) VALUES
('About us', 'about', 'Who we are and how we work.', '{description}

## What we care about

- Work that lasts
- Plain words
- Being there when you call

Sign in to replace this text with your own story.', 1, 'published'),
('Services', 'services', 'What we can do for you.', 'Say here what you offer, for whom, and what it costs.

> A sentence of a happy customer says more than a page of ours.', 2, 'published');
