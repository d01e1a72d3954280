declare const _exports: typeof import("../native.js");
export = _exports;
