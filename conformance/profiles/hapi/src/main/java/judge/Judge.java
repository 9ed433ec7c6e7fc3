package judge;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import ca.uhn.fhir.validation.SingleValidationMessage;
import ca.uhn.fhir.validation.ValidationOptions;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.PrePopulatedValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.UnknownCodeSystemWarningValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.hl7.fhir.r4.model.CodeSystem;
import org.hl7.fhir.r4.model.CodeableConcept;
import org.hl7.fhir.r4.model.Coding;
import org.hl7.fhir.r4.model.ElementDefinition;
import org.hl7.fhir.r4.model.Resource;
import org.hl7.fhir.r4.model.StructureDefinition;
import org.hl7.fhir.r4.model.StructureDefinition.ExtensionContextType;
import org.hl7.fhir.utilities.json.model.JsonObject;
import org.hl7.fhir.utilities.json.parser.JsonParser;

/**
 * Validates NDJSON with the HAPI/HL7 validator, offline: the base definitions of R4 from HAPI's own
 * jar, and the profiles, value sets and code systems of the folders that are named.
 *
 * <p>Arguments: a file of errata (JSON; see errata.toml), folders of definitions, "--", then files, one
 * case a line: {"case": "...", "profiles": ["..."], "resource": {...}}. Prints one JSON line for each message and
 * one for each case that was judged, then "complete".
 */
public final class Judge {
  private Judge() {}

  public static void main(String[] arguments) throws Exception {
    FhirContext context = FhirContext.forR4();
    PrePopulatedValidationSupport profiles = new PrePopulatedValidationSupport(context);
    List<String> words = List.of(arguments);
    int end = words.indexOf("--");
    List<JsonObject> errata = new ArrayList<>(
        JsonParser.parseObject(Files.readString(Path.of(words.get(0)))).getJsonObjects("erratum"));
    for (String folder : words.subList(1, end)) {
      try (Stream<Path> files = Files.walk(Path.of(folder))) {
        for (Path file : files.filter(Judge::isDefinition).sorted().toList()) {
          // HL7's parser: HAPI's refuses extensions that the guides' own tools write.
          Resource resource =
              new org.hl7.fhir.r4.formats.JsonParser().parse(Files.readString(file));
          if (resource instanceof StructureDefinition definition
              && definition.getUrl().startsWith("http://hl7.org/fhir/5.0/")) {
            // A reconstruction knows the type that it is of, not the element.
            definition.getContext().clear();
            definition.addContext().setType(ExtensionContextType.ELEMENT).setExpression("Element");
          }
          if (resource instanceof StructureDefinition definition) {
            errata.removeIf(erratum -> correct(definition, erratum));
          }
          profiles.addResource(resource);
        }
      }
    }
    errata.removeIf(erratum -> supplement(profiles, context, erratum));
    if (!errata.isEmpty()) {
      throw new IllegalArgumentException("not in any definition: " + JsonParser.compose(errata.get(0)));
    }
    UnknownCodeSystemWarningValidationSupport unknown =
        new UnknownCodeSystemWarningValidationSupport(context);
    unknown.setNonExistentCodeSystemSeverity(IValidationSupport.IssueSeverity.WARNING);
    ValidationSupportChain chain = new ValidationSupportChain(
        profiles,
        new DefaultProfileValidationSupport(context),
        new CommonCodeSystemsTerminologyService(context),
        new InMemoryTerminologyServerValidationSupport(context),
        new SnapshotGeneratingValidationSupport(context),
        unknown);
    FhirInstanceValidator module = new FhirInstanceValidator(chain);
    module.setErrorForUnknownProfiles(true);
    module.setAnyExtensionsAllowed(false);
    module.setNoTerminologyChecks(false);
    FhirValidator validator = context.newValidator().registerValidatorModule(module);

    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    for (String file : words.subList(end + 1, words.size())) {
      for (String line : Files.readAllLines(Path.of(file))) {
        if (line.isBlank()) continue;
        JsonObject one = JsonParser.parseObject(line);
        ValidationOptions options = new ValidationOptions();
        one.getStrings("profiles").forEach(options::addProfile);
        String resource = JsonParser.compose(one.getJsonObject("resource"));
        int errors = 0;
        try {
          for (SingleValidationMessage message :
              validator.validateWithResult(resource, options).getMessages()) {
            boolean error = message.getSeverity() == ResultSeverityEnum.ERROR
                || message.getSeverity() == ResultSeverityEnum.FATAL;
            if (error) errors++;
            out.println(row(one, message.getSeverity().getCode(), message.getLocationString(),
                String.valueOf(message.getMessageId()), message.getMessage()));
          }
        } catch (RuntimeException broken) {
          // The parser refuses some defects before the validator sees them.
          errors++;
          out.println(row(one, "fatal", "", "exception", String.valueOf(broken.getMessage())));
        }
        JsonObject done = new JsonObject();
        done.add("case", one.asString("case"));
        done.add("errors", errors);
        out.println(JsonParser.compose(done));
      }
    }
    out.println("complete");
  }

  /** Corrects a definition; false where the erratum is of another one. */
  private static boolean correct(StructureDefinition definition, JsonObject erratum) {
    if (!definition.getUrl().equals(erratum.asString("definition"))) return false;
    boolean found = false;
    for (List<ElementDefinition> elements : List.of(
        definition.getSnapshot().getElement(), definition.getDifferential().getElement())) {
      for (ElementDefinition element : elements) {
        if (!erratum.asString("element").equals(element.getId())) continue;
        JsonObject by = erratum.getJsonObject("discriminator");
        if (by != null && element.hasSlicing()) {
          element.getSlicing().getDiscriminator().clear();
          element.getSlicing().addDiscriminator()
              .setType(ElementDefinition.DiscriminatorType.fromCode(by.asString("type")))
              .setPath(by.asString("path"));
          found = true;
        }
        if (erratum.has("profile")) {
          element.getType().forEach(type -> {
            type.getProfile().clear();
            type.addProfile(erratum.asString("profile"));
          });
          found = true;
        }
        JsonObject pattern = erratum.getJsonObject("pattern");
        if (pattern != null) {
          element.setPattern(new CodeableConcept().addCoding(
              new Coding().setSystem(pattern.asString("system")).setCode(pattern.asString("code"))));
          found = true;
        }
      }
    }
    return found;
  }

  /** Adds codes to a code system of R4; false where the erratum is of something else. */
  private static boolean supplement(
      PrePopulatedValidationSupport profiles, FhirContext context, JsonObject erratum) {
    if (!erratum.has("codes")) return false;
    IBaseResource known =
        new DefaultProfileValidationSupport(context).fetchCodeSystem(erratum.asString("definition"));
    if (!(known instanceof CodeSystem system)) return false;
    CodeSystem more = system.copy();
    erratum.getStrings("codes").forEach(code -> more.addConcept().setCode(code));
    profiles.addCodeSystem(more);
    return true;
  }

  private static boolean isDefinition(Path file) {
    String folder = String.valueOf(file.getParent().getFileName());
    String name = String.valueOf(file.getFileName());
    return name.endsWith(".json")
        && (List.of("profiles", "extensions", "valuesets", "codesystems").contains(folder)
            || name.matches("(StructureDefinition|ValueSet|CodeSystem)-.*"))
        && !file.toString().contains("xt-ehr-logical-models");
  }

  private static String row(
      JsonObject one, String severity, String where, String rule, String message) {
    JsonObject row = new JsonObject();
    row.add("case", one.asString("case"));
    row.add("severity", severity);
    row.add("where", where == null ? "" : where);
    row.add("rule", rule);
    row.add("message", message == null ? "" : message);
    return JsonParser.compose(row);
  }
}
