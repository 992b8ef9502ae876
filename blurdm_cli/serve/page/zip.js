// A ZIP file of several files, stored as they are: photos do not compress further.

const TABLE = Uint32Array.from({ length: 256 }, (_, number) => {
  for (let bit = 0; bit < 8; bit += 1) number = number & 1 ? 0xedb88320 ^ (number >>> 1) : number >>> 1;
  return number;
});

export function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

const UTF8 = 0x0800, VERSION = 20;

function header(signature, fields) {
  const bytes = new DataView(new ArrayBuffer(4 + fields.reduce((sum, [size]) => sum + size, 0)));
  bytes.setUint32(0, signature, true);
  let at = 4;
  for (const [size, value] of fields) {
    if (size === 2) bytes.setUint16(at, value, true);
    else bytes.setUint32(at, value, true);
    at += size;
  }
  return bytes.buffer;
}

// Names that differ: a.jpg, a-2.jpg, ...
export function apart(names) {
  const taken = new Set();
  return names.map(name => {
    const dot = name.lastIndexOf("."), stem = dot > 0 ? name.slice(0, dot) : name;
    const suffix = dot > 0 ? name.slice(dot) : "";
    let free = name;
    for (let number = 2; taken.has(free.toLowerCase()); number += 1) free = `${stem}-${number}${suffix}`;
    taken.add(free.toLowerCase());
    return free;
  });
}

export async function zip(files) {
  const names = apart(files.map(file => file.name));
  const parts = [], directory = [];
  let at = 0;
  for (const [index, { blob }] of files.entries()) {
    const name = new TextEncoder().encode(names[index]);
    const crc = crc32(new Uint8Array(await blob.arrayBuffer()));
    const facts = [[2, VERSION], [2, UTF8], [2, 0], [2, 0], [2, 0x21], [4, crc], [4, blob.size], [4, blob.size], [2, name.length], [2, 0]];
    const local = header(0x04034b50, facts);
    parts.push(local, name, blob);
    directory.push(header(0x02014b50, [[2, VERSION], ...facts, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]]), name);
    at += local.byteLength + name.length + blob.size;
  }
  const size = directory.reduce((sum, part) => sum + part.byteLength, 0);
  if (at + size > 0xffffffff) throw new Error("The results are larger than 4 GB together: download them one by one");
  const end = header(0x06054b50, [[2, 0], [2, 0], [2, files.length], [2, files.length], [4, size], [4, at], [2, 0]]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}
