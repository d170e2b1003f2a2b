"""Loads the files of a domain's records with the tools they are for, and prints the records each tool saw."""
import json, pathlib, re, subprocess, sys

folder, zone = pathlib.Path(sys.argv[1]), sys.argv[2]


def record(name, kind, value):
    return [name.rstrip('.').lower(), kind, value]


def strings(text):
    """The strings of a text in master file form, joined."""
    parts = re.findall(r'"((?:[^"\\]|\\.)*)"', text)
    return ''.join(re.sub(r'\\(.)', r'\1', part) for part in parts)


def value(kind, text):
    return strings(text) if kind == 'TXT' else text.rstrip('.')


def hcl(text):
    """The text of a literal, as it stands in the file."""
    assert text.startswith('"') and text.endswith('"'), text
    return re.sub(r'\\(.)', r'\1', text[1:-1]).replace('$${', '${').replace('%%{', '%{')


def terraform(name, kind):
    import hcl2
    with open(folder / f'{name}.tf') as file:
        blocks = hcl2.load(file)['resource']
    return [fields for block in blocks for fields in block[f'"{kind}"'].values()]


def terraform_cloudflare():
    for fields in terraform('terraform-cloudflare', 'cloudflare_dns_record'):
        kind = hcl(fields['type'])
        content = value(kind, hcl(fields['content']))
        if kind == 'MX':
            content = f"{fields['priority']} {content}"
        yield record(hcl(fields['name']), kind, content)


def terraform_route53():
    for fields in terraform('terraform-route53', 'aws_route53_record'):
        kind = hcl(fields['type'])
        for text in map(hcl, fields['records']):
            # The provider puts the outer quotation marks on.
            yield record(hcl(fields['name']), kind, value(kind, f'"{text}"' if kind == 'TXT' else text))


def cloudformation():
    path = folder / 'cloudformation.json'
    subprocess.run([pathlib.Path(sys.executable).with_name('cfn-lint'), path], check=True, stdout=sys.stderr)
    for group in json.loads(path.read_text())['Resources'].values():
        for entry in group['Properties']['RecordSets']:
            for text in entry['ResourceRecords']:
                yield record(entry['Name'], entry['Type'], value(entry['Type'], text))


def octodns():
    from octodns.provider.yaml import YamlProvider
    from octodns.zone import Zone
    seen = Zone(f'{zone}.', [])
    YamlProvider('file', str(folder), supports_root_ns=False).populate(seen)
    for found in seen.records:
        for entry in getattr(found, 'values', None) or [found.value]:
            if found._type == 'MX':
                text = f'{entry.preference} {entry.exchange}'.rstrip('.')
            else:
                text = str(entry).replace('\\;', ';')
                text = text if found._type == 'TXT' else text.rstrip('.')
            yield record(found.fqdn, found._type, text)


print(json.dumps({f.__name__: sorted(f()) for f in [terraform_cloudflare, terraform_route53, cloudformation, octodns]}))
