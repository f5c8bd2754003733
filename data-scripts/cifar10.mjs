#!/usr/bin/env node
// Makes training files of CIFAR-10 (docs/datasets.md): node data-scripts/cifar10.mjs FOLDER --out data/cifar10
import { prepare } from './prepare.mjs'

prepare('cifar10')
