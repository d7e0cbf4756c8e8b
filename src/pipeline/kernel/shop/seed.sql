INSERT INTO products (title, slug, category, summary, description, price_cents, stock, status) VALUES
('Sample mug', 'sample-mug', 'Kitchen', 'Holds a large coffee.', 'A sample to look around with. Replace it with your own.

- 350 ml
- Dishwasher safe', 1290, 40, 'published'),
('Sample teapot', 'sample-teapot', 'Kitchen', 'For two on a rainy day.', 'A sample to look around with. Replace it with your own.', 3450, 12, 'published'),
('Sample notebook', 'sample-notebook', 'Paper', 'Dotted pages, lies flat.', 'A sample to look around with. Replace it with your own.', 890, 120, 'published'),
('Sample print', 'sample-print', 'Paper', 'A harbour at dawn.', 'A sample to look around with. Replace it with your own.', 2500, 3, 'published'),
('Sample blanket', 'sample-blanket', 'Home', 'Warm, light, washable.', 'A sample to look around with. Replace it with your own.', 5900, 18, 'published'),
('Sample lamp', 'sample-lamp', 'Home', 'Soft light for late hours.', 'A sample to look around with. Replace it with your own.', 7900, 7, 'published');
