#!/usr/bin/env node
// Makes lists of Kinetics-700 (docs/datasets.md): node data-scripts/kinetics700.mjs FOLDER --out lists/kinetics700
import { prepare } from './prepare.mjs'

prepare('kinetics700')
