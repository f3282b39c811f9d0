"""Which network addresses a destination may be at: the guard against requests into one's own network.

A webhook URL is input: who may edit it must not be able to make the notifier call what stands behind the firewall
(metadata services, databases, its own pages). So a name is resolved first, every address it has is judged, and the
connection is made to the judged addresses alone, not to a second look-up's (`streams.connectors.http`).

Public addresses are allowed over https, loopback where the destination says `allow_http`, others where it names their
network in `allow_networks`. Plain http leaves for none but loopback and named networks.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NAT64: Final = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    public: bool = True
    loopback: bool = False
    networks: tuple[Network, ...] = ()

    def allows(self, address: str) -> bool:
        """Judge a literal address. What is no address is not allowed."""
        try:
            found = embedded(ip_address(address.partition("%")[0]))
        except ValueError:
            return False
        if any(found in network for network in self.networks):
            return True
        if found.is_loopback:
            return self.loopback
        return self.public and found.is_global and not (found.is_multicast or found.is_reserved)


def embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, if it does: an obvious way around a check."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def network(text: str) -> Network:
    """Read `10.0.0.0/8`; raises ValueError."""
    return ip_network(text)
