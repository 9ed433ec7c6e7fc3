// A right ImagingStudy, and twelve that are wrong in one place each: what the judges must see.
const right = () => ({
  resourceType: 'ImagingStudy',
  id: 'right',
  identifier: [{ system: 'urn:dicom:uid', value: 'urn:oid:1.2.3' }],
  status: 'available',
  subject: { reference: 'Patient/1' },
  started: '2024-07-31T10:11:12+02:00',
  numberOfSeries: 1,
  series: [{
    uid: '1.2.3.1',
    number: 1,
    modality: { system: 'http://dicom.nema.org/resources/ontology/DCM', code: 'MG' },
    instance: [{ uid: '1.2.3.1.1', sopClass: { system: 'urn:ietf:rfc:3986', code: 'urn:oid:1.2.840.10008.5.1.4.1.1.1.2' } }],
  }],
});
const wrong = [
  (study) => delete study.subject,
  (study) => delete study.status,
  (study) => (study.status = 'finished'),
  (study) => (study.started = '31.7.2024'),
  (study) => (study.started = '2024-07-31T10:11:12'),
  (study) => (study.numberOfSeries = -1),
  (study) => (study.numberOfSeries = '1'),
  (study) => (study.colour = 'blue'),
  (study) => (study.series[0].uid = '1.2.3 1'),
  (study) => delete study.series[0].modality,
  (study) => (study.subject = { reference: 'Endpoint/1' }),
  (study) => (study.extension = [{ url: 'http://x.example', valueString: 'a', extension: [{ url: 'b', valueString: 'c' }] }]),
];
console.log(JSON.stringify(right()));
wrong.forEach((spoil, at) => {
  const study = right();
  study.id = `wrong-${at + 1}`;
  spoil(study);
  console.log(JSON.stringify(study));
});
