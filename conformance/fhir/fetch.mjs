// Writes every resource of a running server, one a line, following the next links.
const [base, token] = process.argv.slice(2);
const ask = async (url) => {
  const reply = await fetch(url, { headers: { authorization: `Bearer ${token}`, accept: 'application/fhir+json' } });
  if (!reply.ok) throw new Error(`${url}: ${reply.status} ${await reply.text()}`);
  return reply.json();
};
console.log(JSON.stringify(await ask(`${base}/metadata`)));
for (const type of ['Patient', 'ImagingStudy', 'Endpoint', 'Organization']) {
  let next = `${base}/${type}?_count=200`;
  while (next) {
    const bundle = await ask(next);
    for (const entry of bundle.entry ?? []) console.log(JSON.stringify(entry.resource));
    next = bundle.link?.find((link) => link.relation === 'next')?.url;
  }
}
