/** Configurations: YAML files with flat keys, checked and with every default filled in. */
export { describeKeys, formatConfig, type KeyDescription } from './format.ts'
export { isPackagedLabels, labelFile } from './labels.ts'
export { configFile, loadConfig, presetNames } from './load.ts'
export { imageModels, isVideo, type Model, models, videoModels } from './models.ts'
export { applyOverrides, parseConfig } from './parse.ts'
export { checkConfig, givenKeysOf, valuesBehind } from './resolve.ts'
export { type Config, ignoredKeys, type KeyName } from './schema.ts'
