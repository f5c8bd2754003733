#!/usr/bin/env node
// Makes lists of ImageNet-1k (docs/datasets.md): node data-scripts/imagenet.mjs FOLDER --out lists/imagenet
import { prepare } from './prepare.mjs'

prepare('imagenet')
