#!/usr/bin/env node
// Makes lists of Charades (docs/datasets.md): node data-scripts/charades.mjs FOLDER --out lists/charades
import { prepare } from './prepare.mjs'

prepare('charades')
