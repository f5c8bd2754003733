#!/usr/bin/env node
// Makes lists of HMDB51 (docs/datasets.md): node data-scripts/hmdb51.mjs FOLDER --out lists/hmdb51
import { prepare } from './prepare.mjs'

prepare('hmdb51')
