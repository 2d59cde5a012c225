/** @module grpc.reflection.v1: tells tools such as grpcurl what the server offers. */
import { create, createRegistry, type DescFile, type DescService, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { type handleBidiStreamingCall, type Server, status } from "@grpc/grpc-js";
import {
  ErrorResponseSchema,
  FileDescriptorResponseSchema,
  ListServiceResponseSchema,
  ServerReflection,
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "@spanwire/proto/grpc/reflection/v1/reflection";
import { toMethodDefinition } from "./method-definition.ts";

/**
 * Adds the service for `services`. It is outside the typed bridge, which has no streams of requests: reflection is the
 * only one, and it is spoken to by tools.
 */
export function addReflection(server: Server, services: readonly DescService[]): void {
  const answer = createAnswers(services);
  const handle: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
    call.on("data", (bytes: Buffer) => {
      const reply = answer(bytes);
      if (reply === undefined) {
        call.emit("error", { code: status.INVALID_ARGUMENT, details: "not a question of reflection" });
      } else if (!call.write(reply)) {
        call.pause();
        call.once("drain", () => call.resume());
      }
    });
    call.on("end", () => call.end());
  };
  const { serverReflectionInfo } = ServerReflection.method;
  server.addService(
    { serverReflectionInfo: toMethodDefinition(serverReflectionInfo) },
    { serverReflectionInfo: handle },
  );
}

type Answer = ServerReflectionResponse["messageResponse"];

/** Answers one question; undefined for bytes that are none. */
function createAnswers(services: readonly DescService[]): (bytes: Uint8Array) => Buffer | undefined {
  const files = new Map<string, DescFile>();
  for (const { file } of services) collect(file, files);
  const types = createRegistry(...files.values());

  function messageResponse({ messageRequest: question }: ServerReflectionRequest): Answer {
    switch (question.case) {
      case "listServices": {
        const service = services.map(({ typeName }) => ({ name: typeName }));
        return { case: "listServicesResponse", value: create(ListServiceResponseSchema, { service }) };
      }
      case "fileByFilename":
        return describe(files.get(question.value.replace(/\.proto$/, "")));
      case "fileContainingSymbol": {
        // A method or field is found through what it belongs to.
        const owner = question.value.replace(/\.[^.]*$/, "");
        return describe((types.get(question.value) ?? types.get(owner))?.file);
      }
      default:
        return refuse(status.UNIMPLEMENTED, "extensions cannot be asked for");
    }
  }
  return (bytes) => {
    let request: ServerReflectionRequest;
    try {
      request = fromBinary(ServerReflectionRequestSchema, bytes);
    } catch {
      return undefined;
    }
    const response = { validHost: request.host, originalRequest: request, messageResponse: messageResponse(request) };
    return Buffer.from(toBinary(ServerReflectionResponseSchema, create(ServerReflectionResponseSchema, response)));
  };
}

/** The file with all that it imports, so that the tool need not ask again. */
function describe(file: DescFile | undefined): Answer {
  if (file === undefined) return refuse(status.NOT_FOUND, "not in any file served here");
  const needed = [...collect(file, new Map()).values()];
  const fileDescriptorProto = needed.map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
  return { case: "fileDescriptorResponse", value: create(FileDescriptorResponseSchema, { fileDescriptorProto }) };
}

function refuse(errorCode: status, errorMessage: string): Answer {
  return { case: "errorResponse", value: create(ErrorResponseSchema, { errorCode, errorMessage }) };
}

function collect(file: DescFile, into: Map<string, DescFile>): Map<string, DescFile> {
  if (into.has(file.name)) return into;
  into.set(file.name, file);
  for (const dependency of file.dependencies) collect(dependency, into);
  return into;
}
