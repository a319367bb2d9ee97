// Hold documents (JSON list on stdin) against the compiled schemas of the packages in ./node_modules; print, per
// document, null if no package knows its kind, else a list of faults. Fields that the schema has no word for are
// faults too, which the validators themselves pass over: the API server would drop such a field in silence.
import { readFileSync, readdirSync, existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const HERE = join(process.argv[2], "node_modules", "@kubernetes-models");

// A view of `value` that notes which fields were asked for: a validator asks for every field that it knows.
function watched(value, asked) {
  if (value === null || typeof value !== "object") return value;
  const fields = new Set();
  const inner = new Map();
  asked.push({ value, fields, inner });
  return new Proxy(value, {
    get(target, name) {
      if (typeof name !== "string" || !Object.hasOwn(target, name)) {
        if (typeof name === "string" && !Array.isArray(target)) fields.add(name);
        return target[name];
      }
      fields.add(name);
      if (!inner.has(name)) inner.set(name, watched(target[name], asked));
      return inner.get(name);
    },
  });
}

// What was looked into, but not asked for. Of an object that nobody looked into, anything goes (HelmRelease's values).
function unknown(value, asked, path) {
  const found = [];
  if (value === null || typeof value !== "object") return found;
  const entry = asked.find((one) => one.value === value);
  for (const name of Object.keys(value)) {
    const here = `${path}/${name}`;
    if (!Array.isArray(value) && entry && entry.fields.size && !entry.fields.has(name)) found.push(`${here}: no such field`);
    else found.push(...unknown(value[name], asked, here));
  }
  return found;
}

async function validator(document) {
  const [group, version] = document.apiVersion.split("/");
  for (const name of readdirSync(HERE)) {
    const file = join(HERE, name, group, version ?? "", `${document.kind}.js`);
    if (!version || !existsSync(file)) continue;
    const schema = readFileSync(file, "utf-8").match(/"[./]*(_schemas\/[^"]+)"/)[1];
    return (await import(pathToFileURL(join(HERE, name, schema)))).validate;
  }
  return null;
}

const verdicts = [];
for (const document of JSON.parse(readFileSync(0, "utf-8"))) {
  const validate = await validator(document);
  if (!validate) {
    verdicts.push(null);
    continue;
  }
  const asked = [];
  validate(watched(document, asked));
  const wrong = (validate.errors ?? []).map((one) => `${one.instancePath}: ${one.keyword} ${JSON.stringify(one.params)}`);
  verdicts.push([...wrong, ...unknown(document, asked, "")]);
}
console.log(JSON.stringify(verdicts));
