import { expect, test } from "vitest";
import { findEndpoint } from "./endpoint.ts";

test.each([
  { text: "192.0.2.1", want: { host: "192.0.2.1", basePort: 51820 } },
  { text: "192.0.2.1:51900", want: { host: "192.0.2.1", basePort: 51900 } },
  { text: "gw.example", want: { host: "gw.example", basePort: 51820 } },
  { text: "gw.example:1", want: { host: "gw.example", basePort: 1 } },
  { text: "2001:db8::1", want: { host: "2001:db8::1", basePort: 51820 } },
  { text: "[2001:db8::1]", want: { host: "2001:db8::1", basePort: 51820 } },
  { text: "[2001:db8::1]:51900", want: { host: "2001:db8::1", basePort: 51900 } },
  { text: "", want: undefined },
  { text: ":51820", want: undefined },
  { text: "10.1", want: undefined },
  { text: "gw.example:0", want: undefined },
  { text: "gw.example:70000", want: undefined },
  { text: "[gw.example]:51820", want: undefined },
  { text: "192.0.2.1:51820:1", want: undefined },
  { text: "gw example", want: undefined },
])("$text", ({ text, want }) => {
  expect(findEndpoint(text, 51820)).toEqual(want);
});
