#!/usr/bin/env node
// Makes lists of Kinetics-400 (docs/datasets.md): node data-scripts/kinetics400.mjs FOLDER --out lists/kinetics400
import { prepare } from './prepare.mjs'

prepare('kinetics400')
