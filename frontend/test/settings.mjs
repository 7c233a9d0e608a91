export const settings = {}
export const answers = {}
