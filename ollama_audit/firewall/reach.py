"""Who can open a TCP connection to an address of this network namespace.

    answer = reach(namespace, Query(family=Family.IPV4, interface="eth0",
                                    address="192.0.2.10", port=11434))
    answer.surely, answer.blocked, answer.unknown   # AddressSets of the source; a partition
    answer.ends                                     # where the connections end after DNAT
    answer.because(int(IPv4Address("192.0.2.77")))  # the rules that one client meets

`reach` answers about the packet filter and the IP layer only. Whether anybody listens at an
end, and whether its unit filters addresses (IPAddressDeny=), is for the reader to add.
A namespace is compiled once and may be asked many times.
"""

from __future__ import annotations

from ollama_audit.addresses import AddressSet
from ollama_audit.firewall.answer import Query, Reach
from ollama_audit.snapshot.network import Family, NetworkNamespace


def reach(namespace: NetworkNamespace, query: Query) -> Reach:
    """Evaluate the packet filter of `namespace` for one question.

    Never raises for what a capture holds: what cannot be read or understood is `unknown`, with
    the reason and, where there is one, the cure.
    """
    del namespace
    version = 4 if query.family is Family.IPV4 else 6
    return Reach(
        query=query,
        surely=AddressSet.nothing(version),
        blocked=AddressSet.nothing(version),
        unknown=AddressSet.everything(version),
        reasons=("the packet filter is not evaluated yet",),
    )
