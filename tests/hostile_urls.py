# ruff: noqa: SIM905 - a table reads better as text
"""Addresses that no input may be fetched from, and what names lead to in the tests.

{port} is that of a server on this machine, which must not be asked; {target} is its host.
"""

#: What a resolver under an attacker's control may answer.
NAMES = {
    "localhost": ["127.0.0.1"],
    "localhost.localdomain": ["127.0.0.1"],
    "ip6-localhost": ["::1"],
    "127.0.0.1.nip.io": ["127.0.0.1"],
    "127-0-0-1.sslip.io": ["127.0.0.1"],
    "10.0.0.1.nip.io": ["10.0.0.1"],
    "a9fea9fe.nip.io": ["169.254.169.254"],
    "lvh.me": ["127.0.0.1"],
    "localtest.me": ["::1"],
    "metadata": ["169.254.169.254"],
    "metadata.google.internal": ["169.254.169.254"],
    "metadata.azure.internal": ["168.63.129.16"],
    "instance-data": ["169.254.169.254"],
    "instance-data.ec2.internal": ["169.254.169.254"],
    "kubernetes.default.svc": ["10.96.0.1"],
    "host.docker.internal": ["192.168.65.2"],
    "gateway.docker.internal": ["172.17.0.1"],
    "intranet.example.com": ["172.31.255.254"],
    "both.example.com": ["93.184.216.34", "127.0.0.1"],
    "private-first.example.com": ["10.1.2.3", "93.184.216.34"],
    "mixed-v6.example.com": ["2606:4700::1111", "fd00:ec2::254"],
    "mapped.example.com": ["::ffff:127.0.0.1"],
    "zone.example.com": ["fe80::1%eth0"],
    "zero.example.com": ["0.0.0.0"],
    "nowhere.example.com": [],
}

ADDRESSES = """
127.0.0.1 127.0.0.2 127.1.2.3 127.255.255.254 0.0.0.0 0.0.0.1 10.0.0.1 10.255.255.255
100.64.0.1 100.100.100.200 100.127.255.255 168.63.129.16 169.254.169.254 169.254.170.2
169.254.169.123 169.254.169.253 169.254.0.1 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192
192.0.2.1 192.88.99.1 192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.7
203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
[::] [::1] [0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::ffff:169.254.169.254]
[::ffff:a9fe:a9fe] [::ffff:10.0.0.1] [::127.0.0.1] [::7f00:1] [::ffff:0:127.0.0.1]
[64:ff9b::127.0.0.1] [64:ff9b::a9fe:a9fe] [64:ff9b::10.0.0.1] [64:ff9b:1::10.0.0.1]
[2002:7f00:1::] [2002:a9fe:a9fe::] [2002:0a00:0001::1] [2001:0:7f00:1::] [2001::1] [2001:db8::1]
[3fff::1] [3ffe::1] [fc00::1] [fd00::1] [fd00:ec2::254] [fd00:ec2::23] [fdff:ffff::1] [fe80::1]
[fe80::a9fe:a9fe] [febf::1] [fec0::1] [feff::1] [ff02::1] [ff0e::1] [100::1] [5f00::1] [4000::1]
""".split()

NUMBERS = """
2130706433 0x7f000001 0x7F.0.0.1 017700000001 0177.0.0.1 0177.0.0.01 127.1 127.0.1 0x7f.1 0
00000177.0.0.1 2852039166 0xa9fea9fe 0251.0376.0251.0376 169.254.43518 169.16689662 127.0.0.1.
127.0.0.0x1 127.0.0.256 1.2.3.4.5 0x 3232235521 %31%32%37.0.0.1 127.0.0.1%00 127.000.000.001
[127.0.0.1] [::1 ::1 [::1]x [fe80::1%25eth0] [::1%eth0] [v1.fe] [] [:::1] [::g]
""".split()

SCHEMES = """
file:///etc/passwd file://localhost/etc/passwd FILE:///etc/passwd file:/etc/passwd file:etc/passwd
ftp://{target}/a ftps://{target}/a sftp://{target}/a gopher://{target}/_GET%20/a
dict://{target}/d:a ldap://{target}/a tftp://{target}/a ws://{target}/a wss://{target}/a
data:text/plain,hello data:;base64,aGVsbG8= javascript:alert(1) jar:http://{target}/a!/b
jar:file:///a.jar!/b netdoc:///etc/passwd php://filter/resource=a phar://a.phar expect://id
blob:http://{target}/a about:blank urn:a:b unix:///var/run/docker.sock ssh://{target}/a
git://{target}/a.git smb://{target}/a imap://{target}/a view-source:http://{target}/a
http+unix://%2Fvar%2Frun%2Fdocker.sock/a url:http://{target}/a feed:http://{target}/a
//{target}/a /etc/passwd etc/passwd \\\\{target}\\a C:\\a :http://{target}/a ://{target}/a
http:{target}/a http:/{target}/a http:///{target}/a http:a https: http:// s3:a s3:///a s3://b s3://b/
s3://B/a s3://a/k s3://u@bucket/a s3://bucket:80/a s3://bucket/a?x s3://bucket/a#x s3://.a/b
s3://bucket%2Fother/a s3://others-bucket/secret.csv s3a://bucket/a arn:aws:s3:::bucket/a
""".split()

USERS_AND_PORTS = """
http://user@{target}/a http://user:secret@{target}/a http://@{target}/a http://:@{target}/a
http://example.com@{target}/a http://{target}@example.com/a http://example.com:80@{target}/a
http://a:b:c@{target}/a http://example.com%40{target}/a http://example.com&@{target}/a
http://example.com:0/a http://example.com:65536/a http://example.com:-1/a http://example.com:a/b
http://example.com:/a http://example.com:99999999/a http://example.com:80:80/a
http://example.com:0x50/a http://example.com:{port}{port}{port}/a http://:{port}/a http://:/a
http://./a http://../a http://.example.com/a http://example..com/a http://example.com./a
http://localhost.:{port}/a http://-a.com/a http://a-.com/a http://*/a http://a,b/c http://a;b/c
http://a!b/c http://a$b/c http://a'b/c http://a"b/c http://a<b/c http://a{{b/c http://a`b/c
http://a|b/c http://a^b/c http://a=b/c http://a~b/c http://a(b)/c http://a%2Eb/c http://a%00b/c
http://example.com\\@{target}/a http://{target}\\a http:\\\\{target}\\a
""".split()

#: They have spaces, line breaks or other letters.
OTHERS = [
    "http://{target}/a b",
    " http://{target}/a",
    "http://{target}/a ",
    "http://{target}/a\r\nHost: other",
    "http://{target}/a\nX: y",
    "http://{target}\r\n/a",
    "ht\ntp://{target}/a",
    "http://exa\tmple.com/a",
    "http://example.com/\x00a",
    "http://example.com/\x7fa",
    "http://127\u30020\u30020\u30021:{port}/a",
    "http://127\uff0e0\uff0e0\uff0e1:{port}/a",
    "http://\u2460\u2461\u2466.0.0.1:{port}/a",
    "http://\uff11\uff12\uff17.0.0.1:{port}/a",
    "http://loc\u0430lhost:{port}/a",
    "http://lo\u00adcalhost:{port}/a",
    "http://\u212dxample.com/a",
    "http://example.com\uff0f@{target}/a",
    "http://example.com\u2044a",
    "http://ex\u00e4mple.com/a",
    "http://example.com/\u00e4",
    "http://\u200bexample.com/a",
    "\ufeffhttp://example.com/a",
    "http://" + "a" * 64 + ".com/a",
    "http://" + "a." * 127 + "com/a",
    "http://example.com/" + "a" * 5000,
    "http://example.com/",
    "http://example.com",
    "http://example.com/?a=b",
    "http://example.com/..",
    "http://example.com/%2e%2e",
    "http://example.com/..%2f..%2fetc%2fpasswd",
    "http://example.com/%2fetc%2fpasswd",
    "http://example.com/a%00b",
    "http://example.com/a%0ab",
    "http://example.com/%ff%fe",
    "http://example.com/..%5ca",
    "http://example.com/.stepgrid-tmp",
    "http://example.com/STDOUT.txt",
    "http://example.com/~root",
    "",
]

HOSTILE_URLS = [
    *SCHEMES,
    *USERS_AND_PORTS,
    *OTHERS,
    *(f"http://{host}:{{port}}/a" for host in [*ADDRESSES, *NUMBERS, *NAMES]),
    *(f"https://{host}/latest/meta-data/a" for host in ADDRESSES[-8:]),
]
