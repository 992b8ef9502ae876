// The API's description as a page.

const part = (kind, text, ...children) => {
  const made = document.createElement(kind);
  made.textContent = text;
  made.append(...children);
  return made;
};

// A paragraph in which `names` are code.
const paragraph = text => part("p", "", ...text.split("`").map((words, index) => part(index % 2 ? "code" : "span", words)));

const type = schema => schema?.enum?.join(" | ") ?? schema?.const ?? schema?.anyOf?.map(type).join(" | ") ?? schema?.type ?? "";

function rows(action) {
  const fields = (action.parameters ?? []).map(each => [each.name, type(each.schema), each.description ?? each.schema?.description ?? ""]);
  const form = action.requestBody?.content["multipart/form-data"]?.schema;
  if (form) fields.unshift(["file", form.properties.file.type === "array" ? "files" : "file", "A form field; or the raw body."]);
  return fields.map(cells => part("tr", "", ...cells.map(text => part("td", text))));
}

function example(path, verb, action) {
  const saved = /deblur$|number}$/.test(path) ? " -OJ" : ""; // the answer is a file, not JSON
  const url = `curl ${location.origin}${path.replace("{id}", "ID").replace("{number}", "0")}${saved}`;
  if (action.requestBody) return `${url} -F file=@photo.jpg`;
  return verb === "get" ? url : `${url} -X ${verb.toUpperCase()}`;
}

const { paths } = await (await fetch("openapi.json")).json();
for (const [path, verbs] of Object.entries(paths)) {
  for (const [verb, action] of Object.entries(verbs)) {
    const section = part("section", "", part("h2", `${verb.toUpperCase()} ${path}`), paragraph((action.description ?? action.summary).split("\nArgs:")[0]));
    const fields = rows(action);
    if (fields.length) section.append(part("table", "", ...fields));
    section.append(part("pre", example(path, verb, action)));
    document.getElementById("paths").append(section);
  }
}
