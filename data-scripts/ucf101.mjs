#!/usr/bin/env node
// Makes lists of UCF101 (docs/datasets.md): node data-scripts/ucf101.mjs FOLDER --out lists/ucf101
import { prepare } from './prepare.mjs'

prepare('ucf101')
