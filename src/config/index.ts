/** Configurations: YAML files with flat keys, checked and with every default filled in. */
export { formatConfig } from './format.ts'
export { isPackagedLabels, labelFile } from './labels.ts'
export { configFile, loadConfig, presetNames } from './load.ts'
export { isVideo } from './models.ts'
export { applyOverrides, parseConfig } from './parse.ts'
export { checkConfig, givenKeysOf, valuesBehind } from './resolve.ts'
export type { Config, KeyName } from './schema.ts'
