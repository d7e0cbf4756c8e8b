//! Names of technology and of other people's systems, and how they are said and misheard. Data only.
//! Deliberately absent: what of it can be built with (the pipeline).

/// One name: as its makers write it, as it is said (lower case), and whether its words mean something else as well, so that it
/// takes a cue or a capital.
pub(super) struct Name {
    pub(super) written: &'static str,
    pub(super) said: &'static [&'static str],
    pub(super) ambiguous: bool,
}

const fn n(written: &'static str, said: &'static [&'static str]) -> Name {
    Name { written, said, ambiguous: false }
}

const fn a(written: &'static str, said: &'static [&'static str]) -> Name {
    Name { written, said, ambiguous: true }
}

#[rustfmt::skip]
pub(super) const TECHNOLOGY: &[Name] = &[
    n("React Native", &["react native"]), a("React", &["react", "react js", "react.js", "reactjs"]),
    n("Vue", &["vue", "vue js", "vue.js", "vuejs", "view js"]), n("Angular", &["angular", "angularjs"]),
    n("Svelte", &["svelte", "sveltekit"]), n("Next.js", &["next js", "next.js", "nextjs"]), n("Nuxt", &["nuxt", "nuxt.js", "nuxtjs", "nuxt js"]),
    n("Node.js", &["node js", "node.js", "nodejs", "no js"]), a("Node.js", &["node"]), n("Deno", &["deno"]),
    n("Express", &["express js", "express.js", "expressjs"]), a("Express", &["express"]), n("NestJS", &["nestjs", "nest js"]),
    n("TypeScript", &["typescript", "type script"]), n("JavaScript", &["javascript", "java script"]),
    n("Python", &["python", "pie thon"]), n("Django", &["django", "jango"]), a("Flask", &["flask"]), n("FastAPI", &["fastapi", "fast api"]),
    n("Java", &["java"]), n("Kotlin", &["kotlin"]), a("Spring", &["spring"]), n("Spring Boot", &["spring boot"]),
    n("Ruby on Rails", &["ruby on rails", "rails"]), a("Ruby", &["ruby"]), n("PHP", &["php", "p h p"]), n("Laravel", &["laravel"]),
    n("Symfony", &["symfony"]), n("Go", &["golang", "go lang"]), a("Go", &["go"]), a("Rust", &["rust"]), a("Swift", &["swift"]),
    n("Flutter", &["flutter"]), n("C#", &["c#", "c sharp", "see sharp"]), n("C++", &["c++", "c plus plus"]), n(".NET", &["dot net", "asp.net", "dotnet"]),
    n("Scala", &["scala"]), n("Elixir", &["elixir"]), n("Phoenix LiveView", &["phoenix liveview"]), n("Haskell", &["haskell"]),
    n("PostgreSQL", &["postgresql", "postgres", "post gres", "postgre sql", "postgres q l", "post gress", "p o s t g r sql", "postgres sql", "post grass"]),
    n("MySQL", &["mysql", "my sequel", "my sql", "my s q l"]), n("MariaDB", &["mariadb", "maria db", "maria d b"]),
    n("SQLite", &["sqlite", "sq lite", "sequel lite", "sql lite"]), n("MongoDB", &["mongodb", "mongo db", "mongo", "mongo d b"]),
    n("Redis", &["redis"]), n("Elasticsearch", &["elasticsearch", "elastic search"]), n("SQL Server", &["sql server"]),
    n("Firebase", &["firebase", "fire base"]), n("Supabase", &["supabase", "super base"]), n("DynamoDB", &["dynamodb"]),
    n("Cassandra", &["cassandra"]), n("GraphQL", &["graphql", "graph q l", "graph ql"]), n("gRPC", &["grpc"]),
    n("Docker", &["docker"]), n("Kubernetes", &["kubernetes"]), n("AWS", &["aws"]), n("Azure", &["azure"]),
    n("Tailwind", &["tailwind", "tail wind", "tailwind css"]), n("Bootstrap", &["bootstrap"]), n("HTML", &["html"]), n("CSS", &["css"]),
    n("htmx", &["htmx"]), n("jQuery", &["jquery"]), n("D3", &["d3", "d3.js"]), n("Chart.js", &["chart.js", "chart js"]),
    n("WordPress", &["wordpress", "word press"]), n("Drupal", &["drupal"]), n("Joomla", &["joomla"]), n("Hugo", &["hugo"]),
    n("Gatsby", &["gatsby"]), n("Astro", &["astro"]), n("WooCommerce", &["woocommerce", "woo commerce"]), n("Magento", &["magento"]),
    n("Solidity", &["solidity"]), n("Ethereum", &["ethereum"]), n("Hyperledger", &["hyperledger", "hyperledger fabric"]),
    n("Solana", &["solana"]), n("Polygon", &["polygon"]), n("Substrate", &["substrate"]), n("Bitcoin", &["bitcoin"]),
    n("Grafana", &["grafana"]), n("Streamlit", &["streamlit"]), n("ClickHouse", &["clickhouse"]), n("Medusa", &["medusa"]), n("Webflow", &["webflow"]),
    n("Swagger", &["swagger"]), n("ERC-20", &["erc20", "erc 20", "erc twenty"]), n("ERC-721", &["erc721", "erc 721", "erc seven twenty one"]), n("Kafka", &["kafka"]), n("RabbitMQ", &["rabbitmq"]), n("NATS", &["nats"]), n("TensorFlow", &["tensorflow"]), n("PyTorch", &["pytorch"]),
    n("Netlify", &["netlify"]), n("Vercel", &["vercel"]), n("Storybook", &["storybook"]), n("OpenZeppelin", &["openzeppelin", "open zeppelin"]), n("Vyper", &["vyper"]),
    n("Hardhat", &["hardhat"]), n("Arbitrum", &["arbitrum"]), n("Optimism", &["optimism chain"]), n("Avalanche", &["avalanche"]), n("Cardano", &["cardano"]), n("Polkadot", &["polkadot"]),
    n("Tezos", &["tezos"]), n("Algorand", &["algorand"]), n("Hedera", &["hedera"]), a("Base", &["base"]), n("Plotly", &["plotly"]), n("TimescaleDB", &["timescaledb", "timescale"]),
    n("InfluxDB", &["influxdb"]), n("MQTT", &["mqtt"]), n("CockroachDB", &["cockroachdb"]), n("Neo4j", &["neo4j"]), n("CouchDB", &["couchdb"]), n("PlanetScale", &["planetscale"]),
    n("Prisma", &["prisma"]), n("Hasura", &["hasura"]), n("Strapi", &["strapi"]), n("Contentful", &["contentful"]), n("Sanity", &["sanity cms"]), a("Ghost", &["ghost"]), n("Wix", &["wix"]),
    n("Squarespace", &["squarespace"]), n("Framer", &["framer"]), n("Jekyll", &["jekyll"]), n("Eleventy", &["eleventy"]), n("PrestaShop", &["prestashop"]), n("BigCommerce", &["bigcommerce"]),
    n("Saleor", &["saleor"]), n("OpenCart", &["opencart"]), n("Metabase", &["metabase"]), n("Superset", &["superset"]), n("Qwik", &["qwik"]), n("SolidJS", &["solidjs", "solid js"]),
    n("Alpine.js", &["alpine js", "alpine.js"]), n("Ember", &["ember js", "ember.js"]), n("Sass", &["sass"]), n("Terraform", &["terraform"]), n("CodeIgniter", &["codeigniter"]),
    n("Deno", &["deno"]), n("Perl", &["perl"]), n("Cloudflare", &["cloudflare"]), n("Heroku", &["heroku"]), n("Electron", &["electron app"]), n("Highcharts", &["highcharts"]), n("ECharts", &["echarts"]),
    a("Figma", &["figma"]), a("Material", &["material", "material ui", "material design"]), a("Next.js", &["next"]), a("Anchor", &["anchor framework"]),
    n("Oracle", &["oracle"]), n("Linux", &["linux"]), n("WebAssembly", &["webassembly", "wasm"]), n("Axum", &["axum"]),
];

#[rustfmt::skip]
pub(super) const SYSTEMS: &[Name] = &[
    n("Google Calendar", &["google calendar", "google calender"]), n("Google Sheets", &["google sheets", "google sheet", "google spreadsheets"]),
    n("Google Maps", &["google maps", "google map"]), n("Google Drive", &["google drive"]), n("Google Analytics", &["google analytics"]),
    n("Google Pay", &["google pay"]), n("Google Workspace", &["google workspace"]), n("Google Contacts", &["google contacts"]),
    n("Apple Pay", &["apple pay"]), n("Amazon", &["amazon"]), n("eBay", &["ebay"]), n("Etsy", &["etsy"]), n("Gmail", &["gmail", "g mail", "google mail"]),
    n("Slack", &["slack"]), n("Stripe", &["stripe"]), n("PayPal", &["paypal", "pay pal"]), n("Klarna", &["klarna"]), n("Razorpay", &["razorpay", "razor pay"]),
    n("Adyen", &["adyen"]), n("Mollie", &["mollie"]), n("Braintree", &["braintree"]), a("Stripe", &["strive", "stripes", "strife"]), a("Square", &["square"]), n("Paytm", &["paytm"]),
    n("Salesforce", &["salesforce", "sales force"]), n("HubSpot", &["hubspot", "hub spot"]), n("Pipedrive", &["pipedrive"]), n("Zoho", &["zoho"]),
    n("Zendesk", &["zendesk", "zen desk"]), n("Freshdesk", &["freshdesk"]), n("Intercom", &["intercom"]), n("Mailchimp", &["mailchimp", "mail chimp"]),
    n("SendGrid", &["sendgrid", "send grid"]), n("Mailgun", &["mailgun"]), n("Klaviyo", &["klaviyo"]), n("Brevo", &["brevo"]),
    n("Zapier", &["zapier", "zappier"]), n("IFTTT", &["ifttt"]), n("Twilio", &["twilio", "twillio"]), n("WhatsApp", &["whatsapp", "whats app", "what's app"]),
    n("Telegram", &["telegram"]), n("Discord", &["discord"]), n("Facebook", &["facebook"]), n("Instagram", &["instagram"]), n("LinkedIn", &["linkedin"]), a("LinkedIn", &["linked in"]),
    n("Twitter", &["twitter"]), n("TikTok", &["tiktok", "tik tok"]), n("YouTube", &["youtube", "you tube"]), n("Pinterest", &["pinterest"]),
    n("Microsoft Teams", &["microsoft teams", "ms teams"]), a("Microsoft Teams", &["teams"]), a("Zoom", &["zoom"]), n("Outlook", &["outlook"]),
    n("Microsoft 365", &["microsoft 365", "office 365"]), n("SharePoint", &["sharepoint"]), n("Excel", &["excel"]), n("OneDrive", &["onedrive"]),
    n("Power BI", &["power bi"]), n("Tableau", &["tableau"]), n("QuickBooks", &["quickbooks", "quick books"]), n("Xero", &["xero"]), a("Sage", &["sage"]),
    n("DATEV", &["datev"]), n("SAP", &["sap"]), n("NetSuite", &["netsuite"]), n("FreshBooks", &["freshbooks"]), n("Shopify", &["shopify"]),
    n("DHL", &["dhl"]), n("FedEx", &["fedex"]), a("UPS", &["ups"]), n("Dropbox", &["dropbox", "drop box"]), n("Jira", &["jira"]), n("Trello", &["trello"]),
    n("Asana", &["asana"]), a("Notion", &["notion"]), n("Airtable", &["airtable"]), n("Monday.com", &["monday.com"]), n("GitHub", &["github", "git hub"]),
    n("GitLab", &["gitlab"]), n("Calendly", &["calendly"]), n("DocuSign", &["docusign"]), n("OpenAI", &["openai", "open ai"]), n("ChatGPT", &["chatgpt"]),
    n("MetaMask", &["metamask", "meta mask"]), n("Coinbase", &["coinbase"]), n("Okta", &["okta"]), n("Auth0", &["auth0"]), n("Active Directory", &["active directory"]),
    n("LDAP", &["ldap"]), n("Prometheus", &["prometheus"]), n("Snowflake", &["snowflake"]), n("BigQuery", &["bigquery", "big query"]),
    n("Spotify", &["spotify"]), n("ShipStation", &["shipstation", "ship station"]), n("JustGiving", &["justgiving"]),
    n("Royal Mail", &["royal mail"]), n("Parcelforce", &["parcelforce"]), n("PostNL", &["postnl"]), n("Sendcloud", &["sendcloud"]), n("Shippo", &["shippo"]),
    n("S3", &["s3"]), n("PagerDuty", &["pagerduty", "pager duty"]), n("Chainlink", &["chainlink"]), n("IPFS", &["ipfs"]), n("OpenSea", &["opensea"]),
    n("Afterpay", &["afterpay"]), n("Paystack", &["paystack"]), n("Mercado Pago", &["mercado pago"]), n("GoCardless", &["gocardless", "go cardless"]),
    n("SumUp", &["sumup"]), n("Worldpay", &["worldpay"]), n("Google Ads", &["google ads"]), n("Vimeo", &["vimeo"]),
    n("Eventbrite", &["eventbrite"]), n("TripAdvisor", &["tripadvisor", "trip advisor"]), n("Booking.com", &["booking.com"]), n("Airbnb", &["airbnb"]),
    n("MYOB", &["myob"]), n("Bexio", &["bexio"]), n("Mapbox", &["mapbox"]), a("Tally", &["tally"]), n("Printful", &["printful"]), n("Printify", &["printify"]), n("Plausible", &["plausible analytics"]), a("Plausible", &["plausible"]), n("Matomo", &["matomo"]),
    n("Mixpanel", &["mixpanel"]), n("Amplitude", &["amplitude analytics"]), n("Hotjar", &["hotjar"]), n("Twitch", &["twitch"]), a("Toast", &["toast"]), n("Flutterwave", &["flutterwave"]),
    n("PayFast", &["payfast", "pay fast"]), n("GCash", &["gcash", "g cash"]), n("M-Pesa", &["mpesa", "m pesa"]), n("PayU", &["payu"]), a("Pix", &["pix"]), n("Bancontact", &["bancontact"]),
    n("iDEAL", &["ideal payments"]), n("Twint", &["twint"]), n("Vipps", &["vipps"]), n("BLIK", &["blik"]), n("Przelewy24", &["przelewy24", "przelewy 24"]), n("InPost", &["inpost"]),
    n("DPD", &["dpd"]), n("GLS", &["gls"]), n("Evri", &["evri"]), n("USPS", &["usps"]), n("Canada Post", &["canada post"]), n("Australia Post", &["australia post", "auspost"]),
    n("An Post", &["an post"]), n("Deutsche Post", &["deutsche post"]), n("La Poste", &["la poste"]), n("NZ Post", &["nz post", "new zealand post"]), a("Greenhouse", &["greenhouse"]), n("Workday", &["workday"]),
    n("BambooHR", &["bamboohr", "bamboo hr"]), n("Rippling", &["rippling"]), n("WalletConnect", &["walletconnect"]), a("Phantom", &["phantom"]), n("Keycloak", &["keycloak"]),
    n("Google Forms", &["google forms", "google form"]), n("Google Classroom", &["google classroom"]), n("Google Docs", &["google docs"]), n("Google Photos", &["google photos"]), a("Google", &["google"]), a("Meta", &["meta"]),
    a("Segment", &["segment"]), n("Viber", &["viber"]), n("WeChat", &["wechat"]), n("Skype", &["skype"]), n("Webex", &["webex"]), n("Confluence", &["confluence"]), n("Bitbucket", &["bitbucket"]),
    n("ServiceNow", &["servicenow"]), n("Basecamp", &["basecamp"]), n("ClickUp", &["clickup"]), n("Todoist", &["todoist"]), n("Evernote", &["evernote"]), n("Help Scout", &["help scout"]),
    n("Constant Contact", &["constant contact"]), n("Campaign Monitor", &["campaign monitor"]), n("ActiveCampaign", &["activecampaign"]), n("MailerLite", &["mailerlite"]), n("ConvertKit", &["convertkit"]),
    n("Postmark", &["postmark"]), n("Vonage", &["vonage"]), n("OneSignal", &["onesignal"]), n("Algolia", &["algolia"]), n("Typeform", &["typeform"]), n("SurveyMonkey", &["surveymonkey", "survey monkey"]),
    n("OpenTable", &["opentable", "open table"]), n("Uber Eats", &["uber eats"]), n("Deliveroo", &["deliveroo"]), n("DoorDash", &["doordash"]), n("Lightspeed", &["lightspeed"]), n("Zettle", &["zettle", "izettle"]),
    n("Authorize.net", &["authorize.net"]), n("Chargebee", &["chargebee"]), n("Plaid", &["plaid api"]), n("Revolut", &["revolut"]), n("FreeAgent", &["freeagent", "free agent"]), n("Odoo", &["odoo"]),
    n("Dynamics 365", &["dynamics 365", "microsoft dynamics"]), n("Strava", &["strava"]), n("Garmin", &["garmin"]), n("Fitbit", &["fitbit"]), n("Mindbody", &["mindbody"]), n("Patreon", &["patreon"]),
    n("Substack", &["substack"]), n("Bandcamp", &["bandcamp"]), n("SoundCloud", &["soundcloud"]), n("Moodle", &["moodle"]), n("GoFundMe", &["gofundme"]), n("OpenStreetMap", &["openstreetmap", "open street map"]),
    n("Streamlabs", &["streamlabs"]), n("USDC", &["usdc"]), n("Looker", &["looker"]), n("Datadog", &["datadog"]), n("Sentry", &["sentry"]), n("Cloudinary", &["cloudinary"]), n("Wise", &["transferwise"]), a("Wise", &["wise"]), n("Venmo", &["venmo"]),
    n("Apple Calendar", &["apple calendar"]), n("iCloud", &["icloud"]),
];
