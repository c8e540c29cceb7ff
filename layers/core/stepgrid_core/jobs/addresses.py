"""Which addresses an input may come from: public ones, and no other. Pure rules.

A container sees more than its user does: its own credentials (169.254.170.2), the instance's
metadata, its neighbours. So what is not known to be on the Internet is refused, also where it is
wrapped into an IPv6 address.
"""

import ipaddress

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_REFUSED_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "100.64.0.0/10",  # behind a carrier's NAT; also some clouds' metadata
        "168.63.129.16/32",  # public in form, but a cloud's own host
        "169.254.0.0/16",  # link-local: metadata and credentials
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",  # multicast, reserved, broadcast
    )
)
_GLOBAL_UNICAST_V6 = ipaddress.IPv6Network("2000::/3")
_REFUSED_V6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # the protocols' own, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4: whatever is wrapped
        "3ffe::/16",
        "3fff::/20",
    )
)
#: An IPv6-only network reaches the IPv4 Internet by it: the last four bytes are the real address.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public_address(address: IpAddress) -> bool:
    """Is it certain to be on the Internet?"""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not any(address in network for network in _REFUSED_V4)
    if address.ipv4_mapped is not None:
        return is_public_address(address.ipv4_mapped)
    if address in _NAT64:
        return is_public_address(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    # Whatever is wrapped in another way (::a.b.c.d, Teredo, 64:ff9b:1::/48) is outside of these.
    if address not in _GLOBAL_UNICAST_V6 or not address.is_global:
        return False
    return not any(address in network for network in _REFUSED_V6)
