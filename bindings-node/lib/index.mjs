import headframe from './index.js'

export const { Actions, Device, HeadframeError, Reading, Simulator, Site, discover, open, version } = headframe
export default headframe
