#!/usr/bin/env node
// Makes training files of CIFAR-100 (docs/datasets.md): node data-scripts/cifar100.mjs FOLDER --out data/cifar100
import { prepare } from './prepare.mjs'

prepare('cifar100')
