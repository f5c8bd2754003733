#!/usr/bin/env node
// Makes lists of Diving48 (docs/datasets.md): node data-scripts/diving48.mjs FOLDER --out lists/diving48
import { prepare } from './prepare.mjs'

prepare('diving48')
