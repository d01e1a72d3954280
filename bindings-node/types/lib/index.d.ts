import { Actions } from "./actions.js";
import { Device } from "./device.js";
import { HeadframeError } from "./error.js";
import { Reading } from "./readings.js";
import { Simulator } from "./simulator.js";
import { Site } from "./site.js";
import { discover } from "./discover.js";
import { open } from "./device.js";
/** The version of the library. */
export const version: string;
export { Actions, Device, HeadframeError, Reading, Simulator, Site, discover, open };
