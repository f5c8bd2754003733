#!/usr/bin/env node
// Makes lists of Something-Something v2 (docs/datasets.md): node data-scripts/something-something-v2.mjs FOLDER --out lists/something-something-v2
import { prepare } from './prepare.mjs'

prepare('something-something-v2')
