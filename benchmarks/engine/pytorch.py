"""One side of the training benchmark: the same network, weights and batch in PyTorch, as a user would write it.

`python3 pytorch.py FOLDER THREADS`. FOLDER holds graph.json (nodes in execution order, inputs, labels, where each
parameter lies) and values.bin (float32). Answers each line of standard input with one of JSON: `check` the loss and
logits of the first batch, anything else the milliseconds of one step (forward, backward, SGD).
"""
import json
import sys
import time

import torch
import torch.nn.functional as F

folder, threads = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(threads)
graph = json.load(open(folder + '/graph.json'))
values = torch.frombuffer(bytearray(open(folder + '/values.bin', 'rb').read()), dtype=torch.float32)


def read(place):
    return values[place['start']:place['start'] + place['count']].reshape(place['shape'])


def parameter(place):
    """From [kt, kh, kw, in, out], [kt, kh, kw, channels] or [in, out] to PyTorch's order."""
    value, rank = read(place), len(place['shape'])
    if rank == 5:
        value = value.permute(4, 3, 0, 1, 2)
    elif rank == 4:
        value = value.permute(3, 0, 1, 2).unsqueeze(1)
    elif rank == 2:
        value = value.t()
    return torch.nn.Parameter(value.contiguous().clone())


parameters = {name: parameter(place) for name, place in graph['parameters'].items()}
inputs = {name: read(place).permute(0, 4, 1, 2, 3).contiguous() for name, place in graph['inputs'].items()}
labels = torch.tensor(graph['labels'])
ACTIVATIONS = {'relu': F.relu, 'relu6': F.relu6, 'swish': F.silu, 'sigmoid': torch.sigmoid}


def forward():
    out = dict(inputs)
    for node in graph['nodes']:
        kind, name = node['kind'], node['name']
        x = out.get(node.get('input'))
        weight, bias = parameters.get(name + '.weight'), parameters.get(name + '.bias')
        if kind in ('conv', 'channelwiseConv'):
            groups = x.shape[1] if kind == 'channelwiseConv' else 1
            out[name] = F.conv3d(x, weight, bias, node['stride'], node['padding'], groups=groups)
        elif kind == 'batchNorm':
            out[name] = F.batch_norm(x, None, None, weight, bias, training=True, eps=node['epsilon'])
        elif kind == 'activation':
            out[name] = ACTIVATIONS[node['activation']](x)
        elif kind == 'add':
            out[name] = out[node['inputs'][0]] + out[node['inputs'][1]]
        elif kind == 'concat':
            out[name] = torch.cat([out[i] for i in node['inputs']], 1)
        elif kind == 'gate':
            out[name] = x * out[node['gate']]
        elif kind == 'maxPool':
            out[name] = F.max_pool3d(x, node['kernel'], node['stride'], node['padding'])
        elif kind == 'globalPool':
            out[name] = F.avg_pool3d(x, node['kernel'], 1)
        elif kind == 'resample':
            out[name] = F.adaptive_avg_pool3d(x, out[node['like']].shape[2:])
        elif kind == 'dropout':
            out[name] = x
        elif kind == 'linear':
            out[name] = F.linear(x.permute(0, 2, 3, 4, 1), weight, bias).permute(0, 4, 1, 2, 3)
        elif kind != 'input':
            raise ValueError('no such node: ' + kind)
    return out[graph['classifier']].mean((2, 3, 4))


optimiser = torch.optim.SGD(parameters.values(), lr=1e-6, momentum=0.9, nesterov=True, weight_decay=5e-5)
for line in sys.stdin:
    start = time.perf_counter()
    logits = forward()
    loss = F.cross_entropy(logits, labels)
    if line.strip() == 'check':
        answer = {'loss': loss.item(), 'logits': logits.flatten().tolist(), 'version': torch.__version__}
    else:
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        answer = (time.perf_counter() - start) * 1000
    print(json.dumps(answer), flush=True)
