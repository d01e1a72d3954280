declare const _exports: typeof import("./facility.js");
export = _exports;
