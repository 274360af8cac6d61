"""What an event is called: every spelling that an SDK or a shop uses, folded to one canonical type.

Case, spaces, underscores, dashes and dots do not matter, and a name may come in either order of its words
("Order Completed", "Completed Order") where a published spec once had it so.
"""

from __future__ import annotations

from typing import NamedTuple

CUSTOM = "custom"

_DROPPED = str.maketrans("", "", "_-.:/")

NAMES: dict[tuple[str, str], tuple[str, ...]] = {
    ("signup", ""): ("Signed Up", "Account Created", "Sign Up", "User Signed Up", "Created Account"),
    ("consent", ""): ("Consent Updated", "Updated Consent"),
    ("confirmed", ""): ("Confirmed", "Email Confirmed", "Address Confirmed", "Opt In Confirmed"),
    ("unsubscribed", ""): ("Unsubscribed", "Email Unsubscribed", "Unsubscribe"),
    ("viewed", "product"): ("Product Viewed", "Viewed Product", "view_item", "product_view"),
    ("viewed", "page"): ("Page Viewed", "Viewed Page", "page_view", "$pageview", "Loaded a Page"),
    ("viewed", "screen"): ("Screen Viewed", "Viewed Screen", "screen_view", "$screen"),
    ("cart_updated", "add"): ("Product Added", "Added Product", "add_to_cart", "Wishlist Product Added to Cart"),
    ("cart_updated", "remove"): ("Product Removed", "Removed Product", "remove_from_cart"),
    ("cart_updated", "replace"): ("Cart Updated", "Updated Cart"),
    ("cart_updated", "empty"): ("Cart Emptied", "Emptied Cart", "Cart Cleared"),
    ("checkout_started", ""): (
        "Checkout Started",
        "Started Checkout",
        "Started Order",
        "begin_checkout",
        "Checkout Step Viewed",
        "Viewed Checkout Step",
        "Checkout Step Completed",
        "Completed Checkout Step",
        "checkout_step",
    ),
    ("order_placed", ""): ("Order Completed", "Completed Order", "Order Placed", "purchase", "transaction"),
    ("order_changed", "cancelled"): ("Order Cancelled", "Order Canceled", "Cancelled Order", "Canceled Order"),
    ("order_changed", "refunded"): ("Order Refunded", "Refunded Order", "refund"),
    ("order_changed", "delivered"): ("Order Delivered", "Delivered Order"),
    ("case_changed", "opened"): ("Case Opened", "Opened Case"),
    ("case_changed", "closed"): ("Case Closed", "Closed Case"),
    ("cuts_published", ""): ("RFM Cuts Published",),
    ("receipt", "delivered"): ("Email Delivered",),
    ("receipt", "opened"): ("Email Opened",),
    ("receipt", "clicked"): ("Email Link Clicked", "Email Clicked"),
    ("receipt", "bounced"): ("Email Bounced",),
    ("receipt", "complained"): ("Email Marked as Spam",),
}

SAME: tuple[tuple[str, ...], ...] = (
    ("Product List Viewed", "Viewed Product List", "Viewed Product Category", "view_item_list", "list_view"),
    ("Product Clicked", "Clicked Product", "select_item", "list_click"),
    ("Promotion Viewed", "Viewed Promotion", "view_promotion", "promo_view"),
    ("Promotion Clicked", "Clicked Promotion", "select_promotion", "promo_click"),
    ("Cart Viewed", "Viewed Cart", "view_cart"),
    ("Payment Info Entered", "Entered Payment Info", "add_payment_info"),
    ("Products Searched", "Searched Products", "search", "view_search_results"),
    ("Product Added to Wishlist", "add_to_wishlist"),
    ("Order Updated", "Updated Order"),
)
"""Events without a rule of ours that several vocabularies have; each goes by the first of its names."""


class Meaning(NamedTuple):
    """A canonical type (`Fact.kind`) and which of its variants a name stands for ("" where it has none)."""

    kind: str
    variant: str = ""


def folded(name: str) -> str:
    """A name without what spellings differ in."""
    return "".join(name.casefold().translate(_DROPPED).split())


_MEANINGS = {
    **{folded(name): Meaning(CUSTOM, names[0]) for names in SAME for name in names},
    **{folded(name): Meaning(*meaning) for meaning, names in NAMES.items() for name in names},
}
_UNKNOWN = Meaning(CUSTOM)


def meaning(name: str) -> Meaning:
    """The canonical type of an event name and its variant; type `custom` for a name outside the vocabulary."""
    return _MEANINGS.get(folded(name), _UNKNOWN)


def canonical(name: str) -> str:
    """The canonical type of an event name, the `kind` of its fact: `Signed Up`, `signed_up` and `SIGNEDUP` are
    all `signup`; `custom` for a name outside the vocabulary."""
    return meaning(name).kind
