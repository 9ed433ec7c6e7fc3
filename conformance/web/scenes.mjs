// What is looked at: every page in every state that a reader, an operator or a steward can bring it
// to. A scene is an address, who asks, the status that is due, and what is done on the page before it
// is judged. `coverage` holds the scenes to the server's own table of routes that give HTML.
//
// `prepare` makes what the demo has none of: a draft, one with findings, a withdrawn dataset.

const SLUGS = { draft: 'draft-of-the-suite', faulty: 'faulty-draft-of-the-suite', gone: 'withdrawn-by-the-suite' };
const HTML = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';

/** A request as a browser sends it, with a token. */
async function ask(base, token, path, form) {
  const headers = { accept: HTML, 'accept-language': 'en', authorization: `Bearer ${token}` };
  const answer = await fetch(base + path, {
    headers, redirect: 'manual', ...(form && { method: 'POST', body: new URLSearchParams(form) }),
  });
  return { status: answer.status, text: await answer.text() };
}

const hidden = (html, name) => html.match(new RegExp(`name="${name}" value="([^"]*)"`))?.[1] ?? '';

/** Makes the states that the node does not have by itself. Each step says what it needs to be well. */
export async function prepare(base, steward, slug) {
  const send = async (path, form, due = 303) => {
    const answer = await ask(base, steward, path, form);
    if (answer.status !== due) throw new Error(`${path}: ${answer.status} instead of ${due}: ${answer.text.slice(0, 300)}`);
    return answer.text;
  };
  const text = await send(`/operator/catalogue/${slug}/export/toml`, undefined, 200);
  const bring = (to, what) => send('/operator/import-description', { form: 'toml', slug: to, text: what });
  const review = (of) => `/operator/catalogue/${of}/review`;
  const isDraft = (html) => hidden(html, 'version');
  await bring(SLUGS.draft, text);
  await bring(SLUGS.faulty, text.replace(/^title.*$/m, 'title = { en = "" }').replace(/^\[title\][^[]*/m, '[title]\nen = ""\n'));
  await bring(SLUGS.gone, text);
  const version = isDraft(await send(review(SLUGS.gone), undefined, 200));
  await send(review(SLUGS.gone), { version, do: 'publish' });
  const asked = await send(`/operator/catalogue/${SLUGS.gone}/withdraw`, undefined, 200);
  await send(`/operator/catalogue/${SLUGS.gone}/withdraw`, { base: hidden(asked, 'base') });
  // Withdrawn, and somebody works on it again.
  await bring(SLUGS.gone, text);
}

/** What is there to look at: read from the pages, so that any node can be judged. */
export async function inventory(page, base, operator) {
  await page.goto(`${base}/catalog`);
  const datasets = await page.$$eval('article.hit h3 a', (links) => links.map((a) => new URL(a.href).pathname));
  const first = (css) => page.$$eval(css, (links) => links[0]?.getAttribute('href') ?? '');
  const found = { datasets, include: await first('.facet a.pick'), exclude: await first('.facet a.without'), codes: [], sources: [] };
  await page.goto(`${base}/harvested`);
  found.harvested = await page.$$eval('main a[href*="/harvested/dataset?"]', (links) => links.map((a) => a.getAttribute('href')));
  if (operator) {
    await page.context().addCookies([{ name: 'vesalius_token', value: operator, url: `${base}/operator` }]);
    const links = async (path, prefix) => {
      await page.goto(base + path);
      const all = await page.$$eval('main a', (as) => as.map((a) => new URL(a.href).pathname));
      return [...new Set(all.filter((one) => one.startsWith(prefix)))];
    };
    found.codes = await links('/operator/findings', '/operator/findings/');
    found.sources = await links('/operator/harvest', '/operator/harvest/');
    await page.context().clearCookies();
  }
  return found;
}

const unfold = { unfold: true };
const fill = (css, text) => ({ fill: [css, text] });
const press = (value) => ({ press: value });

/** The scenes, in rows: address, who, status, deeds. */
export function scenes({ datasets, include, exclude, codes, sources, harvested }, tokens, isChanged) {
  const all = [];
  const add = (who, path, status = 200, ...deeds) => path && all.push({ who, path, status, deeds });
  const slugs = datasets.map((path) => path.split('/').pop());
  const some = slugs.slice(0, 3).map((slug) => `dataset=${slug}`).join('&');

  add('nobody', '/');
  for (const path of ['/catalog', '/catalog.html', include, exclude]) add('nobody', path);
  add('nobody', '/catalog?q=nothing-is-called-like-this');
  add('nobody', '/catalog?page=99');
  datasets.forEach((path) => add('nobody', path));
  if (datasets[0]) {
    add('nobody', `${datasets[0]}/label`);
    add('nobody', datasets[0], 200, press('add'));
    add('nobody', `/cart?${some}`);
    add('nobody', `/compare?${some}`);
  }
  for (const path of ['/harvested', '/harvested?q=nothing-is-called-like-this', harvested[0], harvested[0].replace('dataset?', 'dataset.html?')]) add('nobody', path);
  add('nobody', '/harvested/dataset?source=nobody&iri=http%3A%2F%2Fnowhere.example%2Fd', 404);
  for (const path of ['/cart', '/compare', '/sparql', '/operator/sign-in']) add('nobody', path);
  add('nobody', '/sparql', 200, press(''));
  add('nobody', '/sparql', 400, fill('#query', 'SELECT nothing'), press(''));
  add('nobody', '/nothing-is-here', 404);
  add('nobody', '/dataset/nothing-is-here', 404);
  add('nobody', '/operator', 401);
  add('nobody', '/operator/sign-in', 401, fill('#token', 'x'), press(''));
  if (isChanged) add('nobody', `/dataset/${SLUGS.gone}`, 410);

  if (tokens.researcher) add('researcher', '/operator', 403);
  if (tokens.operator) {
    for (const part of ['', '/sources', '/runs', '/quarantine', '/findings', '/catalogue', '/harvest']) add('operator', `/operator${part}`);
    add('operator', codes[0]);
    sources.forEach((path) => add('operator', path));
    add('operator', '/operator/findings/nothing-is-called-like-this', 404);
    add('operator', '/operator/harvest/nothing-is-called-like-this', 404);
    if (slugs[0]) add('operator', `/operator/catalogue/${slugs[0]}/edit`, 403);
    // Who asked once cannot ask again until it was done.
    if (isChanged) add('operator', '/operator/quarantine', 200, { press: '', in: 'form[action$="/retry"]', once: true });
    add('operator', '/operator', 200, { press: '', in: 'form[action$="/sign-out"]' });
  }
  if (tokens.steward) stewards(add, slugs, isChanged);
  return all;
}

function stewards(add, slugs, isChanged) {
  const say = (path, status, ...deeds) => add('steward', path, status, ...deeds);
  say('/operator/catalogue');
  for (const path of ['/operator/new-description', '/operator/import-description', '/operator/bulk-edit', '/operator/bulk-edit?done=2']) say(path);
  say('/operator/new-description', 422, fill('#slug', 'A B'), press(''));
  say('/operator/import-description', 422, fill('#text', 'x'), press(''));
  if (slugs.length > 0) {
    const of = `/operator/catalogue/${slugs[0]}`;
    for (const part of ['', '/edit', '/edit?check', '/toml', '/review', '/preview', '/preview-rdf', '/versions', '/versions?published', '/withdraw']) say(of + part);
    say(`${of}/edit`, 200, unfold, fill('#f-title input', ''), fill('#f-landing_page-i', 'nowhere'), fill('#f-description textarea', ''), press('check'));
    for (const what of ['add:distribution', 'add:purposes', 'add:creators', 'language']) say(`${of}/edit`, 200, unfold, press(what));
    say(`${of}/toml`, 200, fill('#text', 'title.en = "x'), press('check'));
    say('/operator/bulk-edit', 200, { tick: 'input[name=dataset]' }, press('choose'), press('preview'));
    say('/operator/import-description', 422, { choose: ['#form', 'turtle'] }, fill('#slug', 'imported'), fill('#text', 'x'), press(''));
  }
  if (isChanged) {
    const of = (slug) => `/operator/catalogue/${slug}`;
    for (const slug of [SLUGS.draft, SLUGS.faulty]) for (const part of ['/edit?check', '/review']) say(of(slug) + part);
    say(of(SLUGS.gone));
    say(`${of(SLUGS.gone)}/versions`);
    // What somebody else changed meanwhile.
    const late = (name) => ({ hide: [name, '99'] });
    say(`${of(SLUGS.draft)}/review`, 409, late('version'), press('drop'));
    // One press asks.
    say(`${of(SLUGS.draft)}/review`, 200, press('drop'));
    say(`${of(SLUGS.draft)}/edit`, 409, unfold, late('version'), press('save'));
    say(`${of(SLUGS.draft)}/toml`, 409, late('version'), press('save'));
    say(`${of(SLUGS.gone)}/versions`, 409, late('version'), press('restore'));
    say(`/operator/catalogue/${slugs[0]}/withdraw`, 409, late('base'), press(''));
  }
}

/** Rows of the server's own description that give HTML, and those of them that no scene came by. */
export async function coverage(base, visits) {
  const described = await (await fetch(`${base}/openapi.json`)).json();
  const rows = [];
  for (const [path, operations] of Object.entries(described.paths)) {
    for (const method of ['get', 'post']) {
      const answers = Object.values(operations[method]?.responses ?? {});
      if (answers.some((answer) => 'text/html' in (answer.content ?? {}))) rows.push({ method, path });
    }
  }
  const fits = ({ path }, at) => {
    const pattern = path.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{[^}]+\}/g, '[^/]+');
    return new RegExp(`^${pattern}$`).test(at);
  };
  const literal = ({ path }) => path.replace(/\{[^}]+\}/g, '').length;
  for (const { method, at } of visits) {
    // Of several rows that fit, the one that says most of the address is the router's.
    const own = rows.filter((row) => row.method === method && fits(row, at)).sort((a, b) => literal(b) - literal(a))[0];
    if (own) own.isVisited = true;
  }
  return { rows, missed: rows.filter((row) => !row.isVisited) };
}
