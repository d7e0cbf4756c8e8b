
INSERT INTO posts (title, slug, summary, body, published_on, status) VALUES
('We are on line', 'we-are-on-line', 'Our new website is here.', 'Welcome. From now on you will find our news here.', date('now'), 'published');
