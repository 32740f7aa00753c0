"""Which generated clips to keep: measures of pixels and description text, a rule, and a page that explains each choice.

The paper names "video filtering" and gives no criterion; what is known is its result, 116 of 297 anomalous and 187 of
299 normal clips kept.
"""
