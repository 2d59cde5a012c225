/** @module The rules written in the .proto files, enforced. */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator, type Violation } from "@bufbuild/protovalidate";
import { type FieldViolation, InvalidRequest } from "./invalid-request.ts";

/** Throws `InvalidRequest`, naming the fields, unless the message keeps all rules of its schema. */
export type RequestValidator = <D extends DescMessage>(schema: D, message: MessageShape<D>) => void;

/** Makes a validator; it compiles the rules of a message type once, at its first use. */
export function createRequestValidator(): RequestValidator {
  const validator = createValidator();
  return (schema, message) => {
    const result = validator.validate(schema, message);
    if (result.kind === "error") throw result.error; // a rule that does not compile is our bug, not the caller's
    if (result.kind === "invalid") throw new InvalidRequest(schema.name, result.violations.map(toFieldViolation));
  };
}

function toFieldViolation(violation: Violation): FieldViolation {
  const { message, ruleId, field, forKey } = violation;
  const path = pathToString(field);
  return { field: forKey ? `${path} (key)` : path, description: message || `breaks ${ruleId}`, rule: ruleId };
}
