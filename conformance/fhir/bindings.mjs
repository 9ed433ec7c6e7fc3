// Validates each line of a file with npm `fhir` (lantanagroup): it knows the required bindings.
import { readFileSync } from 'node:fs';
import { Fhir } from 'fhir/fhir.js';

const fhir = new Fhir();
let errors = 0;
readFileSync(process.argv[2], 'utf8').split('\n').filter(Boolean).forEach((line, at) => {
  const resource = JSON.parse(line);
  let messages;
  try {
    messages = fhir.validate(resource).messages;
  } catch (failure) {
    messages = [{ severity: 'error', message: String(failure) }];
  }
  for (const message of messages.filter((message) => ['error', 'fatal'].includes(message.severity))) {
    errors += 1;
    console.log(`${at + 1}: ${resource.resourceType}/${resource.id ?? ''}: ${message.location ?? ''}: ${message.message}`);
  }
});
console.log('complete');
process.exit(errors ? 1 : 0);
