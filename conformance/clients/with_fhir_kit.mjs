// fhir-kit-client 2.0.3 (JavaScript) against a running server.
//
//   node with_fhir_kit.mjs BASE TOKEN       TOKEN may write (system/*.cruds)
import { Client } from 'fhir-kit-client';

const [base, token] = process.argv.slice(2);
let passed = 0;
const check = (holds, words) => {
  if (!holds) {
    console.log(`FAIL fhir-kit-client: ${words}`);
    process.exit(1);
  }
  passed += 1;
};
const refused = async (status, words, work) => {
  try {
    await work();
  } catch (failure) {
    check(failure.response?.status === status, `${words}: ${failure}`);
    check(failure.response.data.resourceType === 'OperationOutcome', `${words}: ${JSON.stringify(failure.response.data)}`);
    return failure.response.data;
  }
  return check(false, `${words}: nothing was thrown`);
};
const connect = (bearerToken, customHeaders = {}) => new Client({ baseUrl: base, bearerToken, customHeaders });

const ours = connect(token);
const statement = await ours.capabilityStatement();
check(statement.fhirVersion === '4.0.1', 'discovery');
const smart = await ours.request('.well-known/smart-configuration');
check(smart.capabilities.includes('permission-v2'), 'the SMART configuration');
await refused(401, 'a wrong token', () => connect('nonsense').search({ resourceType: 'ImagingStudy' }));
await refused(401, 'no token', () => new Client({ baseUrl: base }).search({ resourceType: 'ImagingStudy' }));

const first = await ours.search({ resourceType: 'ImagingStudy', searchParams: { _count: 7 } });
const ids = new Set();
let pages = 0;
for (let page = first; page; page = await ours.nextPage({ bundle: page })) {
  page.entry.forEach(({ resource }) => ids.add(resource.id));
  pages += 1;
  if (!page.link.some(({ relation }) => relation === 'next')) break;
}
check(pages > 1 && ids.size === first.total, `${first.total} studies in ${pages} pages: ${ids.size}`);
const mammograms = await ours.search({ resourceType: 'ImagingStudy', searchParams: { modality: 'MG', _sort: '-started' } });
const posted = await ours.search({
  resourceType: 'ImagingStudy',
  searchParams: { modality: 'MG', _sort: '-started' },
  options: { postSearch: true },
});
const list = (bundle) => bundle.entry.map(({ resource }) => resource.id).join();
check(list(mammograms) === list(posted) && mammograms.total === posted.total, 'GET and POST find the same');
const [{ resource: some }] = mammograms.entry;
const read = await ours.read({ resourceType: 'ImagingStudy', id: some.id });
check(JSON.stringify(read) === JSON.stringify(some), 'a read gives what the search gave');
const patient = await ours.resolve({ reference: read.subject.reference });
check(patient.resourceType === 'Patient', 'a reference is resolved');
const version = Client.httpFor(read).response.headers.get('etag');
check(/^W\/"/.test(version), `ETag: ${version}`);
const everything = await ours.operation({ name: 'everything', resourceType: 'Patient', id: patient.id, method: 'GET' });
check(everything.entry.some(({ resource }) => resource.id === some.id), 'Patient/$everything');
await refused(404, 'a read of nothing', () => ours.read({ resourceType: 'ImagingStudy', id: 'there-is-none' }));
await refused(400, 'a parameter that is not known, when that matters', () => ours.search({
  resourceType: 'ImagingStudy', searchParams: { nonsense: 1 }, options: { headers: { prefer: 'handling=strict' } },
}));

const body = {
  resourceType: 'Observation', status: 'final', subject: { reference: `Patient/${patient.id}` },
  code: { text: 'written by fhir-kit-client (synthetic)' }, valueString: 'one',
};
const full = { headers: { prefer: 'return=representation' } };
const created = await ours.create({ resourceType: 'Observation', body, options: full });
check(created.meta.versionId === '1', 'create');
const place = { resourceType: 'Observation', id: created.id };
const updated = await ours.update({ ...place, body: { ...created, valueString: 'two' }, options: { headers: { 'if-match': 'W/"1"' } } });
check(updated.meta.versionId === '2', 'update of the version that is');
const conflict = await refused(412, 'update of a version that was', () => ours.update({
  ...place, body: { ...created, valueString: 'three' }, options: { headers: { 'if-match': 'W/"1"' } },
}));
check(conflict.issue[0].diagnostics.includes('If-Match'), 'the conflict says why');
check((await ours.read(place)).valueString === 'two', 'the conflict changed nothing');
check((await ours.vread({ ...place, version: '1' })).valueString === 'one', 'vread');
check((await ours.resourceHistory(place)).total === 2, 'history');
const wrong = await refused(422, 'a resource that is not valid', () => ours.create({
  resourceType: 'Observation', body: { ...body, status: 'nonsense' },
}));
check(wrong.issue[0].expression.includes('Observation.status'), 'the refusal names the element');
const transaction = { resourceType: 'Bundle', type: 'transaction', entry: [{ resource: body, request: { method: 'POST', url: 'Observation' } }] };
const done = await ours.transaction({ body: transaction });
check(done.type === 'transaction-response' && done.entry[0].response.status.startsWith('201'), 'transaction');
await ours.delete(place);
await refused(410, 'a read of what was deleted', () => ours.read(place));

// XML, which the client hands on as text.
try {
  await ours.request(`ImagingStudy/${some.id}`, { options: { headers: { accept: 'application/fhir+xml' } } });
  check(false, 'the client parses XML by now: compare it');
} catch (failure) {
  check(typeof failure.response?.data === 'string' && failure.response.data.includes(`<id value="${some.id}"/>`), `XML: ${failure}`);
}
console.log(`fhir-kit-client: ${passed} checks hold`);
