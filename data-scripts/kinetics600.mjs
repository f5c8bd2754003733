#!/usr/bin/env node
// Makes lists of Kinetics-600 (docs/datasets.md): node data-scripts/kinetics600.mjs FOLDER --out lists/kinetics600
import { prepare } from './prepare.mjs'

prepare('kinetics600')
