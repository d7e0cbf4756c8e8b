//! Small clients of an app's API, generated. Pure text. Both use nothing but what the language brings.

use crate::pipeline::spec::Spec;

/// JavaScript (browser or Node 18 and newer).
pub(super) fn javascript(spec: &Spec) -> String {
    let names: Vec<_> = spec.entities.iter().map(|e| format!("    this.{0} = of(\"{0}\");", e.name)).collect();
    format!(
        "// Client of the API of {title}. const app = new Client(\"https://example.com\", \"key_…\");\n\
         export class Client {{\n  constructor(base, key) {{\n    const ask = async (method, path, body) => {{\n      \
         const headers = {{ authorization: `Bearer ${{key}}` }};\n      if (body !== undefined) headers[\"content-type\"] = \
         \"application/json\";\n      const answer = await fetch(base.replace(/\\/$/, \"\") + path, {{ method, headers, body: \
         body && JSON.stringify(body) }});\n      const text = await answer.text();\n      const json = text ? \
         JSON.parse(text) : null;\n      if (!answer.ok) throw Object.assign(new Error(json?.error?.message ?? \
         answer.statusText), {{ status: answer.status, fields: json?.error?.fields }});\n      return json;\n    }};\n    \
         const of = (name) => ({{\n      list: (query = {{}}) => ask(\"GET\", `/api/${{name}}?${{new \
         URLSearchParams(query)}}`),\n      read: (id) => ask(\"GET\", `/api/${{name}}/${{id}}`),\n      create: (values) => \
         ask(\"POST\", `/api/${{name}}`, values),\n      change: (id, values) => ask(\"PATCH\", `/api/${{name}}/${{id}}`, \
         values),\n      delete: (id) => ask(\"DELETE\", `/api/${{name}}/${{id}}`),\n    }});\n{names}\n    this.summary = () => \
         ask(\"GET\", \"/api/summary\");\n  }}\n}}\n",
        title = one_line(&spec.title),
        names = names.join("\n")
    )
}

/// Python 3.8 and newer.
pub(super) fn python(spec: &Spec) -> String {
    let names: Vec<_> =
        spec.entities.iter().map(|e| format!("        self.{0} = Resource(self, \"{0}\")", e.name)).collect();
    format!(
        "\"\"\"Client of the API of {title}. app = Client(\"https://example.com\", \"key_...\")\"\"\"\nimport json\nimport \
         urllib.error\nimport urllib.parse\nimport urllib.request\n\n\nclass ApiError(Exception):\n    def __init__(self, \
         status, message, fields):\n        super().__init__(message)\n        self.status = status\n        self.fields = \
         fields\n\n\nclass Resource:\n    def __init__(self, client, name):\n        self._ask = client.ask\n        \
         self._path = \"/api/\" + name\n\n    def list(self, **query):\n        return self._ask(\"GET\", self._path + \"?\" + \
         urllib.parse.urlencode(query))\n\n    def read(self, number):\n        return self._ask(\"GET\", \
         \"%s/%d\" % (self._path, number))\n\n    def create(self, **values):\n        return self._ask(\"POST\", self._path, \
         values)\n\n    def change(self, number, **values):\n        return self._ask(\"PATCH\", \"%s/%d\" % (self._path, \
         number), values)\n\n    def delete(self, number):\n        return self._ask(\"DELETE\", \"%s/%d\" % (self._path, \
         number))\n\n\nclass Client:\n    def __init__(self, base, key):\n        self._base = base.rstrip(\"/\")\n        \
         self._key = key\n{names}\n\n    def summary(self):\n        return self.ask(\"GET\", \"/api/summary\")\n\n    def \
         ask(self, method, path, values=None):\n        body = None if values is None else json.dumps(values).encode()\n        \
         headers = {{\"authorization\": \"Bearer \" + self._key}}\n        if body is not None:\n            \
         headers[\"content-type\"] = \"application/json\"\n        request = urllib.request.Request(self._base + path, body, \
         headers, method=method)\n        try:\n            with urllib.request.urlopen(request, timeout=30) as answer:\n                \
         text = answer.read()\n        except urllib.error.HTTPError as refused:\n            error = \
         json.loads(refused.read() or b\"{{}}\").get(\"error\", {{}})\n            raise ApiError(refused.code, \
         error.get(\"message\", refused.reason), error.get(\"fields\", {{}})) from None\n        return json.loads(text) if \
         text else None\n",
        title = one_line(&spec.title),
        names = names.join("\n")
    )
}

/// A title that cannot end a comment.
fn one_line(title: &str) -> String {
    title.chars().filter(|c| c.is_alphanumeric() || " .,-'&".contains(*c)).collect()
}
